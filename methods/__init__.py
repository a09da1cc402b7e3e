"""The methods, one file each, discovered by name."""

from methods.base import Method, Transition, list_methods, make_method, register_method

__all__ = ["Method", "Transition", "list_methods", "make_method", "register_method"]
