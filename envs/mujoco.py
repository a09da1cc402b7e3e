"""MuJoCo's own warnings."""

import logging

import mujoco

# mujoco 4 says this on stderr and in a log file for every Walker2d and HalfCheetah that Gymnasium builds.
KNOWN = "settotalmass"


def forward_warnings() -> None:
    """Send MuJoCo's warnings to ``logging``, but for the one that Gymnasium's own models cause."""

    def warn(message: bytes | str) -> None:
        text = message.decode() if isinstance(message, bytes) else message
        if KNOWN not in text:
            logging.getLogger("mujoco").warning(text)

    mujoco.set_mju_user_warning(warn)
