"""Set up MuJoCo: silence its warnings, and choose a rendering backend that exists."""

import logging
import os

# mujoco 4 says this on stderr and in a log file for every Walker2d and HalfCheetah that Gymnasium builds.
KNOWN = "settotalmass"
BACKEND = "MUJOCO_GL"


def prepare_mujoco() -> None:
    """Send MuJoCo's warnings to ``logging``, except for one caused by Gymnasium's models.

    Where the backend that is asked for is missing, it is missed by those alone who draw.
    """
    chosen = os.environ.get(BACKEND)
    try:
        import mujoco
    except Exception:  # of any type: the backends raise what they like
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
