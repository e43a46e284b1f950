"""Documents that Tenuto itself wrote (JSON): as strict as those that people write (`documents`), without what explains mistakes
to them and offers the nearest right word, which a lookup should not wait for.
"""

from typing import Any, Literal, Self

import msgspec


class Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A document of ours: unknown keys are refused, values are frozen. Its verbs are called as those of `documents.Document`."""

    @classmethod
    def model_validate(cls, values: Any) -> Self:
        """The document of decoded JSON; raises ValueError that says what is wrong with it, and where."""
        try:
            return msgspec.convert(values, cls)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from None

    def model_dump(self, *, mode: Literal["json"] = "json") -> Any:  # noqa: ARG002 -- there is no other form
        """The document as JSON has it."""
        return msgspec.to_builtins(self)
