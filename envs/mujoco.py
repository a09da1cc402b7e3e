"""Sets up MuJoCo: silences its warnings, and chooses an available rendering backend."""

import logging
import os

# mujoco 4 prints this on stderr and in a log file for every Walker2d and HalfCheetah that Gymnasium makes.
KNOWN = "settotalmass"
BACKEND = "MUJOCO_GL"


def prepare_mujoco() -> None:
    """Send MuJoCo's warnings to ``logging``, except for one caused by Gymnasium's models.

    A missing backend only matters for rendering, so it raises no error here.
    """
    chosen = os.environ.get(BACKEND)
    try:
        import mujoco
    except Exception:  # backends raise errors of any type
        if chosen is None:
            raise
        os.environ[BACKEND] = "disabled"
        try:
            import mujoco
        finally:
            os.environ[BACKEND] = chosen

    def warn(message: bytes | str) -> None:
        text = message.decode() if isinstance(message, bytes) else message
        if KNOWN not in text:
            logging.getLogger("mujoco").warning(text)

    mujoco.set_mju_user_warning(warn)
