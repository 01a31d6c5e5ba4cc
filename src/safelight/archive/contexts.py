"""What is negotiated for a C-GET: the study's SOP classes, each in the form in which the archive keeps it.

An archive chooses one transfer syntax of each presentation context (PS3.8 section 9.3.3.2). With all of them in one it
would choose without a look at the study, and then convert, or fail to. So each gets a context of its own, as far as 128
contexts go round.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from pynetdicom import ALL_TRANSFER_SYNTAXES, StoragePresentationContexts, build_context, build_role

if TYPE_CHECKING:
    from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
    from pynetdicom.presentation import PresentationContext

#: 128 contexts an association (PS3.8 section 9.3.2.2), without those for C-ECHO, C-FIND and C-GET.
_CONTEXTS: Final = 125
#: The most frequent first: they get contexts of their own also where a study has many SOP classes.
_FREQUENT: Final = (
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless SV1
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
)
_TRANSFER_SYNTAXES: Final = (*_FREQUENT, *(uid for uid in map(str, ALL_TRANSFER_SYNTAXES) if uid not in _FREQUENT))


def storage_contexts(sop_classes: Collection[str]) -> list[PresentationContext]:
    """Return the presentation contexts for these storage SOP classes; none given: for those that pynetdicom knows."""
    wanted = sorted(sop_classes) or [str(context.abstract_syntax) for context in StoragePresentationContexts]
    wanted = wanted[:_CONTEXTS]
    alone = _CONTEXTS // len(wanted) - 1
    groups = [[uid] for uid in _TRANSFER_SYNTAXES[:alone]]
    if rest := list(_TRANSFER_SYNTAXES[max(0, alone) :]):
        groups.append(rest)
    return [build_context(sop_class, group) for sop_class in wanted for group in groups]


def roles(contexts: Sequence[PresentationContext]) -> list[SCP_SCU_RoleSelectionNegotiation]:
    """Return the role selection by which we receive (PS3.7 section D.3.3.4), once a SOP class."""
    return [build_role(uid, scp_role=True) for uid in sorted({str(context.abstract_syntax) for context in contexts})]
