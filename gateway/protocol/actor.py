"""Names in whose name the cluster is asked, where the runner's account asks for somebody else."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    """Holds a user and groups of the cluster's own policy, whom the runner's account impersonates
    (kubernetes.io/docs/reference/access-authn-authz/authentication, "User impersonation").
    """

    user: str
    groups: tuple[str, ...] = ()

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Returns the header lines that make a request this user's."""
        return (("Impersonate-User", self.user), *(("Impersonate-Group", group) for group in self.groups))

    @property
    def flags(self) -> tuple[str, ...]:
        """Returns the flags that make kubectl ask as this user."""
        return (f"--as={self.user}", *(f"--as-group={group}" for group in self.groups))
