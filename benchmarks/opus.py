"""What Tenuto's Opus encoding costs beside a bare PyAV loop, and beside other people's programs.

    .venv/bin/python benchmarks/opus.py [--runs 5] [--kbit-per-s 75] [--seconds 300]

A bare loop is decode, resample, encode, mux and nothing else: no tags, no exact numbering, no care for hostile files.
The programs get the same rate and the same number of files. Times are wall-clock medians; memory is the peak of a
process that does this alone.
"""

import argparse
import multiprocessing
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import soundfile

from tenuto.audio.opus import encode_opus

MUSIC = Path(__file__).resolve().parents[1] / ".cache/demo"
TAKEN = (
    "hyperrogue-music/**/hr3-crossroads.ogg",
    "trackballs-data/**/tb_sorrow.ogg",
    "amoebax-data/**/AngusBackground.ogg",
)
RATE_HZ = 44_100
WANTED_FRAC, WANTED_TIMES = 0.95, 1.9


def main() -> None:
    """Measure, print a table and the same as rows of Markdown."""
    words = argparse.ArgumentParser(description="Tenuto's Opus encoding beside a bare PyAV loop and other programs.")
    words.add_argument("--runs", type=int, default=5)
    words.add_argument("--kbit-per-s", type=int, default=75)
    words.add_argument("--seconds", type=int, default=300, help="of music in all")
    chosen = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="tenuto-bench-") as name:
        folder = Path(name)
        original, what = music(folder, chosen.seconds)
        seconds = soundfile.info(original).duration
        print(f"{what}: {seconds:.0f} s as FLAC, {chosen.kbit_per_s} kbit/s, median of {chosen.runs}")
        rows = measured(original, folder, chosen.kbit_per_s, chosen.runs, seconds)
    print("\n| work | x realtime | against the bare loop | peak MB |\n|---|---|---|---|")
    for row in rows:
        print(row)


def music(folder: Path, seconds: int) -> tuple[Path, str]:
    """Real music as one FLAC file, or noise and tones where there is none, and which it is."""
    found = [file for pattern in TAKEN for file in sorted(MUSIC.glob(pattern))]
    target = folder / "music.flac"
    left = seconds * RATE_HZ
    with soundfile.SoundFile(target, "w", RATE_HZ, 2, subtype="PCM_16") as out:
        while left > 0:
            before = left
            for file in found:
                sound, rate_hz = soundfile.read(file, dtype="int16", always_2d=True)
                if rate_hz == RATE_HZ and sound.shape[1] == 2 and left > 0:  # noqa: PLR2004 -- stereo
                    out.write(sound[:left])
                    left -= len(sound[:left])
            if left == before:
                out.write(made(left))
                left = 0
                found = []
    return (
        target,
        f"music of {', '.join(file.name for file in found)}" if found else "no music in .cache/demo: synthesized",
    )


def made(samples: int) -> "np.ndarray[tuple[int, int], np.dtype[np.int16]]":
    """Three tones that change four times a second, in a little noise."""
    chance = np.random.default_rng(1)
    pitches = chance.choice([220, 262, 330, 392, 440, 523], (samples * 4 // RATE_HZ + 1, 3))
    phases = np.cumsum(np.repeat(pitches, RATE_HZ // 4 + 1, axis=0)[:samples] * (2 * np.pi / RATE_HZ), axis=0)
    tones = np.sin(phases).mean(axis=1)[:, None] * 0.5 + chance.normal(0, 0.01, (samples, 2))
    return (tones * 32_000).clip(-32_768, 32_767).astype("int16")


def ours(original: Path, derivative: Path, kbit_per_s: int) -> None:
    """Tenuto's own."""
    encode_opus(original, derivative, kbit_per_s)


def bare(original: Path, derivative: Path, kbit_per_s: int) -> None:
    """The least that PyAV can do the work with."""
    with av.open(original) as source, av.open(derivative, "w", format="ogg") as target:
        stream = target.add_stream("libopus", rate=48_000)
        stream.codec_context.layout, stream.codec_context.format = "stereo", "flt"
        stream.bit_rate = kbit_per_s * 1000
        stream.codec_context.open()
        resampler = av.AudioResampler("flt", "stereo", 48_000, stream.codec_context.frame_size)
        for frame in source.decode(audio=0):
            for part in resampler.resample(frame):
                target.mux(stream.encode(part))
        for part in resampler.resample(None):
            target.mux(stream.encode(part))
        target.mux(stream.encode(None))


def by_ffmpeg(original: Path, derivative: Path, kbit_per_s: int) -> None:
    """One process of the ffmpeg program."""
    rate = f"{kbit_per_s}k"
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-y",
        "-i",
        original,
        "-vn",
        "-c:a",
        "libopus",
        "-b:a",
        rate,
        "-f",
        "ogg",
        derivative,
    ]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def by_opusenc(original: Path, derivative: Path, kbit_per_s: int) -> None:
    """One process of the opusenc program."""
    subprocess.run(["opusenc", "--quiet", "--bitrate", str(kbit_per_s), original, derivative], check=True)


def timed(jobs: int, work: Callable[[Path, Path, int], None], original: Path, folder: Path, kbit_per_s: int) -> float:
    """Seconds until `jobs` processes, started before, have each done the work once."""
    ready, go = multiprocessing.Barrier(jobs + 1), multiprocessing.Barrier(jobs + 1)
    arguments = [(work, original, folder / f"{place}.opus", kbit_per_s, ready, go) for place in range(jobs)]
    processes = [multiprocessing.Process(target=waiting, args=each) for each in arguments]
    for process in processes:
        process.start()
    ready.wait()
    start = time.perf_counter()
    go.wait()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit(f"bench: {work.__name__} failed")
    return time.perf_counter() - start


def waiting(
    work: Callable[[Path, Path, int], None], original: Path, derivative: Path, kbit_per_s: int, *gates: object
) -> None:
    """A process that works when the others are there too."""
    for gate in gates:
        gate.wait()  # type: ignore[attr-defined]
    work(original, derivative, kbit_per_s)


def peak_mb(work: Callable[[Path, Path, int], None], original: Path, folder: Path, kbit_per_s: int) -> int:
    """Peak resident memory of a new process that does the work once; of a program's own where it starts one."""
    script = (
        "import resource, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import opus;"
        "work = getattr(opus, sys.argv[2]); work(Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]));"
        "who = resource.RUSAGE_CHILDREN if 'by_' in sys.argv[2] else resource.RUSAGE_SELF;"
        "print(resource.getrusage(who).ru_maxrss // 1024)"
    )
    here = Path(__file__).parent
    words = [sys.executable, "-c", script, here, work.__name__, original, folder / "peak.opus", str(kbit_per_s)]
    return int(subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True).stdout)


def measured(original: Path, folder: Path, kbit_per_s: int, runs: int, seconds: float) -> list[str]:
    """A row for each way of doing it; ours and the bare loop take turns, so that a busy machine slows both."""
    both: dict[Callable[[Path, Path, int], None], list[float]] = {bare: [], ours: []}
    pairs: list[float] = []
    for _ in range(runs):
        for work, times in both.items():
            times.append(timed(1, work, original, folder, kbit_per_s))
        pairs.append(timed(2, ours, original, folder, kbit_per_s))
    alone = {work: statistics.median(times) for work, times in both.items()}
    frac = statistics.median(of_bare / of_ours for of_bare, of_ours in zip(both[bare], both[ours], strict=True))
    times_two = 2 * alone[ours] / statistics.median(pairs)
    print(
        f"{frac:.1%} of the bare loop (wanted {WANTED_FRAC:.0%}); two processes {times_two:.2f} x one (wanted {WANTED_TIMES} x)"
    )
    rows = [
        f"| bare PyAV loop | {seconds / alone[bare]:.0f} | 100 % | {peak_mb(bare, original, folder, kbit_per_s)} |",
        f"| Tenuto, one process | {seconds / alone[ours]:.0f} | {frac:.1%} | {peak_mb(ours, original, folder, kbit_per_s)} |",
        f"| Tenuto, two processes | {2 * seconds / statistics.median(pairs):.0f} | {times_two:.2f} x one | each as above |",
    ]
    for work, program in ((by_ffmpeg, "ffmpeg"), (by_opusenc, "opusenc")):
        if shutil.which(program) is None:
            print(f"{program} is not installed: not measured")
            continue
        took = statistics.median(timed(1, work, original, folder, kbit_per_s) for _ in range(runs))
        peak = peak_mb(work, original, folder, kbit_per_s)
        rows.append(f"| {program} | {seconds / took:.0f} | {alone[bare] / took:.1%} | {peak} |")
    return rows


if __name__ == "__main__":
    main()
    print(f"peak of this script: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB", file=sys.stderr)
