"""Many seeds of one method as one batch: stacked parameters, one call for all.

Each seed keeps its own learner (:class:`methods.ddpg.DDPG`). What is done for all at once, the policy's actions and the
updates, is done by one more learner of the same method, whose networks are those of all seeds and whose batch is that
of all seeds, one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from envs.errors import UserError
from methods.base import Method, Tensors, Transition
from methods.ddpg import DDPG
from methods.replay import Batch


def why_not_together(method: type[Method[Any]]) -> str | None:
    """Why seeds of a method cannot be trained together, as far as its class says; None if they can."""
    if not issubclass(method, DDPG):
        return "it does not stand on methods.ddpg.DDPG"
    own = [name for name in ("act", "act_pair") if getattr(method, name) is not getattr(DDPG, name)]
    return f"it explores in its own way ({own[0]})" if own else None


class SideBySide(nn.Module):
    """The layers of all seeds one after the other: rows (S B, in) to (S B, out), to the bit what each gives by itself.

    Args:
        layers: One a seed.
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, rows: Tensor) -> Tensor:
        """See the class."""
        parts = rows.chunk(len(self.layers))
        return torch.cat([layer(part) for layer, part in zip(self.layers, parts, strict=True)])


class StackedLinear(nn.Module):
    """The same in one product.

    Args:
        layers: One a seed; their parameters become views into this one's.
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        trained = layers[0].weight.requires_grad
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]), requires_grad=trained)
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]), requires_grad=trained)
        for layer, weight, bias in zip(layers, self.weight.detach(), self.bias.detach(), strict=True):
            layer.weight.data, layer.bias.data = weight, bias

    def forward(self, rows: Tensor) -> Tensor:
        """See the class."""
        by_seed = rows.view(len(self.weight), -1, rows.shape[1])
        return torch.baddbmm(self.bias[:, None], by_seed, self.weight.transpose(1, 2)).flatten(0, 1)


def stack(networks: Sequence[nn.Sequential], batched: bool) -> nn.Sequential:
    """The networks of all seeds as one.

    Args:
        networks: One a seed.
        batched: Whether of :class:`StackedLinear` or of :class:`SideBySide`.

    Raises:
        UserError: If a layer with parameters is not linear.
    """
    stacked: list[nn.Module] = []
    for layers in zip(*networks, strict=True):
        if all(isinstance(layer, nn.Linear) for layer in layers):
            stacked.append(StackedLinear(layers) if batched else SideBySide(layers))
        elif next(layers[0].parameters(), None) is None:
            stacked.append(layers[0])
        else:
            raise UserError(f"seeds cannot be trained together: no stack for a layer {type(layers[0]).__name__}")
    return nn.Sequential(*stacked)


class StackedReplay:
    """The replay buffers of all seeds, drawn from together; each seed's rows are those that it would draw by itself."""

    def __init__(self, members: Sequence[DDPG[Any]], device: torch.device) -> None:
        self.members = members
        self.device = device

        self.alive = list(range(len(members)))

    def __len__(self) -> int:
        return min(len(self.members[seat].replay) for seat in self.alive)

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """``count`` transitions a seed, by the generators of the seeds: (S count, .), on the device in one copy.

        In place of a seed that is not alive any more stand the rows of one that is.
        """
        del generator
        drawn = {
            seat: self.members[seat].replay.sample(count, self.members[seat].replay_generator) for seat in self.alive
        }
        some = next(iter(drawn.values()))
        batches = [drawn.get(seat, some) for seat in range(len(self.members))]
        columns = [torch.cat(parts) for parts in zip(*batches, strict=True)]
        widths = [column.shape[1] for column in columns]
        whole = torch.cat(columns, dim=1).to(self.device, non_blocking=True)
        return Batch(*torch.split(whole, widths, dim=1))


class SeedsTogether:
    """Learners of one method and task, one a seed, that act and learn as one batch.

    Losses are means over all seeds; what they are the means of is each seed's own, and so is every gradient, which is
    scaled back by the number of seeds. A method's losses have to be means over the batch for that.

    Args:
        members: One a seed, prepared.
        lead: One more of the same, prepared; its networks are replaced.
        device: Where networks, flows and updates are.
        batched: See :func:`stack`; by default where it pays, which is not on a processor.

    Raises:
        UserError: If the method is no DDPG, or learns more than an actor and a critic.
    """

    def __init__(
        self, members: Sequence[Method[Any]], lead: Method[Any], device: torch.device, batched: bool | None = None
    ) -> None:
        self.lead, *self.members = (_checked(method, device) for method in (lead, *members))
        self.device = device
        self.batched = batched = device.type != "cpu" if batched is None else batched
        for name in self.lead._parts():
            setattr(self.lead, name, stack([getattr(member, name) for member in self.members], batched))
        self._stack_optimizers()
        pairs = ((self.lead.target_actor, self.lead.actor), (self.lead.target_critic, self.lead.critic))
        self.lead._followers = [(list(target.parameters()), list(network.parameters())) for target, network in pairs]
        self.replay = StackedReplay(self.members, device)
        self.lead.replay = self.replay  # type: ignore[assignment]
        self._box = (self.lead.action_middle.cpu(), self.lead.action_half.cpu())

    def act_pairs(self, obs: Mapping[int, Tensor]) -> dict[int, tuple[Tensor | None, Tensor]]:
        """For some seeds' observations (1, o), what :meth:`Method.act_pair` of each would give, on the CPU.

        All seeds' networks are evaluated whoever asks, so that every call is of one shape.
        """
        some = next(iter(obs.values()))
        rows = torch.cat([obs.get(seat, some) for seat in range(len(self.members))])
        with torch.no_grad():
            actions = self.lead.policy(rows.to(self.device)).cpu()
        return {seat: self._explore(self.members[seat], actions[seat : seat + 1]) for seat in obs}

    def act(self, obs: Mapping[int, Tensor]) -> dict[int, Tensor]:
        """For some seeds' observations (B, o), B of each its own, what their policies do without noise, on the CPU."""
        if not self.batched:
            return {seat: self.members[seat].act(rows, explore=False) for seat, rows in obs.items()}
        most = max(map(len, obs.values()))
        some = next(iter(obs.values()))[:1]
        padded = [obs.get(seat, some) for seat in range(len(self.members))]
        rows = torch.cat([row for one in padded for row in (one, one[:1].expand(most - len(one), -1))])
        with torch.no_grad():
            actions = torch.split(self.lead.policy(rows.to(self.device)).cpu(), most)
        return {seat: actions[seat][: len(rows)] for seat, rows in obs.items()}

    def observe(self, seat: int, transition: Transition) -> None:
        """One seed's environment step."""
        self.members[seat].observe(transition)

    def resume(self, seat: int, state: Mapping[str, Tensor]) -> None:
        """Go on with one seed from what its ``checkpoint_dict`` gave; all seeds have to be of one moment."""
        member = self.members[seat]
        optimizers = (member.actor_optimizer, member.critic_optimizer)
        views = [dict(optimizer.state) for optimizer in optimizers]
        member.load_checkpoint_dict(state)
        # Loading put moments of the seed's own in place of its views of all seeds' moments.
        for optimizer, shared in zip(optimizers, views, strict=True):
            for parameter, moments in shared.items():
                for key, value in moments.items():
                    value.copy_(optimizer.state[parameter][key])
                optimizer.state[parameter] = moments

    def learns(self, seat: int) -> bool:
        """Whether an update of this seed would do anything yet."""
        member = self.members[seat]
        return member.steps >= member.config.warmup and len(member.replay) > 0

    def update(self) -> dict[str, float]:
        """One update of every seed; losses are means over the seeds."""
        self.lead.steps = min(self.members[seat].steps for seat in self.replay.alive)
        return self.lead.update()

    def leave(self, seat: int) -> None:
        """A seed has ended: what stands in its place from now on is no more than a copy of one that has not."""
        self.replay.alive.remove(seat)
        if self.replay.alive:
            with torch.no_grad():
                for name in self.lead._parts():
                    own, other = (getattr(self.members[one], name) for one in (seat, self.replay.alive[0]))
                    for parameter, value in zip(own.parameters(), other.parameters(), strict=True):
                        parameter.copy_(value)

    def broken(self) -> list[int]:
        """The seeds, of those that have not ended, whose networks hold NaN or infinities."""
        found = []
        for seat in self.replay.alive:
            networks = (self.members[seat].actor, self.members[seat].critic)
            if not all(bool(value.isfinite().all()) for network in networks for value in network.parameters()):
                found.append(seat)
        return found

    def _explore(self, member: DDPG[Any], action: Tensor) -> tuple[Tensor | None, Tensor]:
        if member.steps < member.config.warmup:
            middle, half = self._box
            return None, middle + half * (2 * torch.rand(action.shape, generator=member.noise_generator) - 1)
        noise = torch.randn(action.shape, generator=member.noise_generator, dtype=action.dtype)
        return action, action + member.config.noise * noise

    def _stack_optimizers(self) -> None:
        """One optimiser a network for all seeds; the moments of each seed's own become views of it."""
        for name in ("actor", "critic"):
            own = [getattr(member, f"{name}_optimizer") for member in self.members]
            parameters = list(getattr(self.lead, name).parameters())
            for parameter in parameters:
                # The fused optimiser takes gradients to lie in memory as parameters do; a batched product's does not.
                parameter.register_hook(lambda gradient: (gradient * len(self.members)).contiguous())
            optimizer = type(own[0])(parameters, **own[0].defaults)
            setattr(self.lead, f"{name}_optimizer", optimizer)
            for parameter in parameters:
                moments = {key: torch.zeros_like(parameter) for key in ("exp_avg", "exp_avg_sq")}
                optimizer.state[parameter] = {"step": torch.zeros((), device=self.device), **moments}
            for seat, one in enumerate(own):
                for place, parameter in enumerate(one.param_groups[0]["params"]):
                    shared = optimizer.state.get(parameter)
                    one.state[parameter] = shared or _slice(optimizer.state[parameters[place]], seat)


def _slice(state: Mapping[str, Tensor], seat: int) -> Tensors:
    """One seed's part of a stacked parameter's moments, as views; the number of steps is that of all."""
    return {key: value[seat] if value.dim() else value for key, value in state.items()}


def _checked(method: Method[Any], device: torch.device) -> DDPG[Any]:
    """The method, moved to the device, if its seeds can be trained together.

    Raises:
        UserError: If they cannot.
    """
    reason = why_not_together(type(method))
    if reason is not None or not isinstance(method, DDPG):
        raise UserError(f"seeds of '{method.id}' cannot be trained together: {reason}")
    known = method._parts()
    for name, value in vars(method).items():
        if isinstance(value, nn.Module):
            if name not in known and any(parameter.requires_grad for parameter in value.parameters()):
                raise UserError(f"seeds of '{method.id}' cannot be trained together: it learns '{name}' too")
            value.to(device)
        elif isinstance(value, Tensor):
            setattr(method, name, value.to(device))
    return method
