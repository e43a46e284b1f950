"""What may be done with a recording, from evidence: statements in, one decision out. Unknown is dark."""

from tenuto.rights.gate import Action, Decision, may
from tenuto.rights.licences import Licence, identify, read_licence
from tenuto.rights.permission import Grant, Permission, parse_permission
from tenuto.rights.statements import Statement

__all__ = [
    "Action",
    "Decision",
    "Grant",
    "Licence",
    "Permission",
    "Statement",
    "identify",
    "may",
    "parse_permission",
    "read_licence",
]
