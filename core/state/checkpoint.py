"""A state as a journal's checkpoint holds it."""

import msgspec

from core.errors import JournalDamaged
from core.ports import Checkpoint
from core.state.state import IMAGE_DECODER, StateImage


def image_of(checkpoint: Checkpoint) -> StateImage:
    """Return the state that a checkpoint holds; its seal is proven, so what does not fit is another version's.

    Raises:
        JournalDamaged: if it has not the form that this program gives it.
    """
    try:
        return IMAGE_DECODER.decode(checkpoint.image)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JournalDamaged(
            f"the checkpoint after journal record {checkpoint.sequence} has not the form of this program's: {error}; "
            "trading refused; start the version that wrote it"
        ) from error
