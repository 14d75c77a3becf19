"""Lists the settings of clusters and of the gateway: their names, defaults and meaning. The limits are in config.py."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """Describes a setting: where it stands in config.toml, its environment variable, its default, and what it
    means.
    """

    key: str
    env: str
    default: str
    meaning: str
    secret: bool = False
    flag: bool = False  # true or false, in config.toml also without quotes


CLUSTER_SETTINGS = (
    Setting(
        "kind", "DAP_RUNNER_KIND", "ssh", "how the cluster is reached; ssh: a management host, then Incus"
    ),
    Setting(
        "ssh_host",
        "DAP_RUNNER_SSH_HOST",
        "user@mgmt.example.com",
        "[user@]host[:port] of the management host",
    ),
    Setting(
        "ssh_key",
        "DAP_RUNNER_SSH_KEY",
        "~/.ssh/id_ed25519",
        "private key; an agent is used when there is one",
    ),
    Setting(
        "ssh_known_hosts", "DAP_RUNNER_SSH_KNOWN_HOSTS", "~/.ssh/known_hosts", "host keys that are trusted"
    ),
    Setting(
        "ssh_config",
        "DAP_RUNNER_SSH_CONFIG",
        "",
        "OpenSSH's settings, as ssh -F FILE; empty: ~/.ssh/config and /etc/ssh/ssh_config; none: neither",
    ),
    Setting(
        "vm",
        "DAP_RUNNER_VM",
        "dap-runner",
        "the Incus instance that reaches the cluster; REMOTE:NAME: behind a remote of the management host's",
    ),
    Setting(
        "incus_project", "DAP_RUNNER_INCUS_PROJECT", "", "Incus project of vm; empty: incus' current one"
    ),
    Setting(
        "kubectl",
        "DAP_RUNNER_KUBECTL",
        "kubectl",
        "the command that is kubectl in the runner, as in 'k3s kubectl'; words with blanks in quotes",
    ),
    Setting(
        "kube_context", "DAP_RUNNER_KUBE_CONTEXT", "", "kubeconfig context there; empty: its current one"
    ),
    Setting(
        "namespace",
        "DAP_RUNNER_NAMESPACE",
        "",
        "namespace of a pod that is named without one; empty: the context's",
    ),
    Setting(
        "impersonate",
        "DAP_RUNNER_IMPERSONATE",
        "none",
        "user: the cluster is asked in the name of each person but the gateway's own user; none: as the runner's account",
    ),
    Setting("mode", "DAP_RUNNER_MODE", "auto", "auto: relay where the runner has python3; relay; plain"),
    Setting(
        "exec",
        "DAP_RUNNER_EXEC",
        "auto",
        "auto: the relay asks the cluster's API where that answers, else kubectl; api; kubectl: a process in the runner each",
    ),
)
GATEWAY_SETTINGS = (
    Setting(
        "listen", "DAP_GATEWAY_LISTEN", "localhost:8080", "where dap serve listens; none: with TLS alone"
    ),
    Setting(
        "tls_listen",
        "DAP_GATEWAY_TLS_LISTEN",
        "localhost:8443",
        "where dap serve listens with TLS; none: nowhere",
    ),
    Setting(
        "tls_cert",
        "DAP_GATEWAY_TLS_CERT",
        "",
        "file with the certificate for TLS and its chain; empty: one of the gateway's own authority",
    ),
    Setting("tls_key", "DAP_GATEWAY_TLS_KEY", "", "file with the key of tls_cert, without a passphrase"),
    Setting("public_url", "DAP_GATEWAY_PUBLIC_URL", "", "the URL people use, when a proxy stands in front"),
    Setting("allowed_hosts", "DAP_GATEWAY_ALLOWED_HOSTS", "", "more Host headers to accept, comma separated"),
    Setting("allowed_origins", "DAP_GATEWAY_ALLOWED_ORIGINS", "", "more Origins to accept, comma separated"),
    Setting(
        "trusted_proxies",
        "DAP_GATEWAY_TRUSTED_PROXIES",
        "",
        "networks whose X-Forwarded-For and Forwarded count, comma separated, as in 127.0.0.0/8",
    ),
    Setting(
        "log_argv",
        "DAP_GATEWAY_LOG_ARGV",
        "false",
        "true: the log has the command of each session itself, with the secrets in it; false: its SHA-256",
        flag=True,
    ),
    Setting(
        "spdy_exec",
        "DAP_GATEWAY_SPDY_EXEC",
        "true",
        "false: exec and attach over SPDY (kubectl before 1.31) are refused; over WebSocket they are served",
        flag=True,
    ),
    Setting(
        "production",
        "DAP_GATEWAY_PRODUCTION",
        "",
        "clusters, or CLUSTER/NAMESPACE, where the page's head is red, as in prod-*, comma separated",
    ),
    Setting(
        "url", "DAP_GATEWAY_URL", "", "the gateway that client commands use; empty: the local Unix socket"
    ),
    Setting(
        "ca",
        "DAP_GATEWAY_CA",
        "",
        "file with the certificate of the only authority that client commands trust; empty: the system's, or a login's",
    ),
    Setting(
        "token",
        "DAP_GATEWAY_TOKEN",
        "",
        "bearer token, 16 characters or more; empty: made at first start",
        secret=True,
    ),
)
