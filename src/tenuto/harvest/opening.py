"""Opening a source politely: its connector, who asks, what its operator and its robots.txt say, its lowest ceiling."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from tenuto.archive import Layout, Settings, SourceSettings
from tenuto.evidence import Redactor
from tenuto.evidence.harvests import RobotsRead
from tenuto.harvest.asking import Asker
from tenuto.harvest.operator import OperatorFiles, read_operator_files
from tenuto.harvest.pace import Pace
from tenuto.harvest.robots import read_robots
from tenuto.model.answers import Answer
from tenuto.model.errors import RightsError, SettingsError
from tenuto.model.progress import Progress
from tenuto.sources import Http, Source, open_source, user_agent
from tenuto.sources.credentials import environment


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source with all that asking it needs."""

    name: str
    settings: SourceSettings
    source: Source
    redactor: Redactor
    agent: str
    operator: OperatorFiles
    pace: Pace


@contextmanager
def open_politely(layout: Layout, settings: Settings, name: str, clock: Callable[[], datetime]) -> Iterator[OpenSource]:
    """A source with all that asking it needs, at the lowest of the ceilings that are known by now."""
    if name not in settings.sources:
        known = ", ".join(settings.sources) or "none yet"
        raise SettingsError(f"no source is called {name}; there are: {known}. Add one with: tenuto source add")
    chosen = settings.sources[name]
    agent = user_agent(settings.archive.name, settings.archive.contact)
    pace = Pace(chosen.rate_per_s or settings.politeness.rate_per_s, layout.pace / name)
    with closing(Http(agent, settings.politeness.timeout_s, before_each=pace.wait)) as http:
        source = open_source(name, chosen, layout.root, http, environment())
        redactor = Redactor(source.secrets, source.user_fields, source.words)
        operator = read_operator_files(layout, name, chosen, http, redactor, clock)
        if operator.permission is not None and operator.permission.harvest.rate_per_s:
            pace.slow_down(operator.permission.harvest.rate_per_s)
        yield OpenSource(name, chosen, source, redactor, agent, operator, pace)


def asker_of(opened: OpenSource, settings: Settings, progress: Progress) -> Asker:
    """What asks the source, as gently as the settings say."""
    polite = settings.politeness
    return Asker(opened.source, opened.redactor, opened.pace, progress, polite.tries, polite.pause_max_s)


def check_robots(opened: OpenSource, asker: Asker) -> tuple[Asker, Answer | None, RobotsRead | None]:
    """robots.txt as answered and as read, and the asker that keeps its rules; raises RightsError where it forbids and no
    permission says otherwise.
    """
    request = opened.source.robots
    if request is None:
        return asker, None, None
    answer = asker.ask(request, is_demanded=True)
    robots, rules = read_robots(answer, opened.agent, opened.source.first(), opened.operator.permission)
    if not robots.is_allowed and not robots.is_outranked:
        how = f"HTTP {robots.http_status}" if robots.http_status else "it cannot be read"
        raise RightsError(
            f"robots.txt of {opened.source.place} ({how}) does not let {opened.agent} ask; nothing was harvested. "
            f"Ask its operator for a permission: tenuto source permission --template > {opened.name}.toml"
        )
    if rules.delay_s:
        opened.pace.slow_down(1 / rules.delay_s)
    return replace(asker, rules=rules), answer, robots
