"""What the gateway does not follow: the documentation has a reason for each that differs."""

from ssh_matrix.row import HOST_KEY, KNOWN, LOGIN, NO_KEY, Row

_MASTER = "ssh -F <home>/master -o ControlMaster=yes -N mgmt"
_SOCKET = {
    "master": "ControlPath <home>/ready\nHost *\n  HostName 127.0.0.1\n  Port <port>\n  User <user>\n"
    "  IdentityFile <home>/good\n  UserKnownHostsFile <home>/known\n"
}

ROWS = (
    Row("StrictHostKeyChecking no, unknown key", "StrictHostKeyChecking no\n", known=""),
    Row("StrictHostKeyChecking no, changed key", "StrictHostKeyChecking no\n", known="[127.0.0.1]:<port> <key.other>\n"),
    Row("StrictHostKeyChecking no, known key", "StrictHostKeyChecking no\n"),
    Row("StrictHostKeyChecking no, no known hosts", "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n"),
    Row("StrictHostKeyChecking no, known hosts none", "StrictHostKeyChecking no\nUserKnownHostsFile none\n", ssh=HOST_KEY),
    Row("StrictHostKeyChecking no, revoked key", "StrictHostKeyChecking no\n", known="@revoked * <key.host>\n" + KNOWN),
    Row("StrictHostKeyChecking off, unknown key", "StrictHostKeyChecking off\n", known=""),
    Row("StrictHostKeyChecking ask, unknown key", "StrictHostKeyChecking ask\n", known="", ssh=HOST_KEY),
    Row("StrictHostKeyChecking ask, a person says yes", "StrictHostKeyChecking ask\n", known="", answer="yes"),
    Row("StrictHostKeyChecking ask, changed key", "StrictHostKeyChecking ask\n", known="[127.0.0.1]:<port> <key.other>\n", answer="yes", ssh=HOST_KEY),
    Row("StrictHostKeyChecking accept-new, unknown key", "StrictHostKeyChecking accept-new\n", known=""),
    Row("StrictHostKeyChecking accept-new, changed key", "StrictHostKeyChecking accept-new\n", known="[127.0.0.1]:<port> <key.other>\n", ssh=HOST_KEY),
    Row("StrictHostKeyChecking accept-new, known key", "StrictHostKeyChecking accept-new\n"),
    Row("VerifyHostKeyDNS yes, unknown key", "VerifyHostKeyDNS yes\n", known="", ssh=HOST_KEY),
    Row("VerifyHostKeyDNS yes, known key", "VerifyHostKeyDNS yes\n"),
    Row("NoHostAuthenticationForLocalhost, unknown key", "NoHostAuthenticationForLocalhost yes\n", known=""),
    Row("NoHostAuthenticationForLocalhost, changed key", "NoHostAuthenticationForLocalhost yes\n", known="[127.0.0.1]:<port> <key.other>\n"),
    Row("NoHostAuthenticationForLocalhost, known key", "NoHostAuthenticationForLocalhost yes\n"),
    Row("ControlPath, a master is there, no key", "ControlPath <home>/ready\n", base=NO_KEY, keys={"good": "good"}, files=_SOCKET, start=_MASTER),
    Row("ControlPath, a master is there, key named", "ControlPath <home>/ready\n", keys={"key": "good", "good": "good"}, files=_SOCKET, start=_MASTER),
    Row("ControlPath, no master", "ControlMaster no\nControlPath <home>/absent\n"),
    Row("ControlMaster auto", "ControlMaster auto\nControlPath <home>/control\nControlPersist 1s\n"),
    Row("PKCS11Provider, absent, key in a file", "PKCS11Provider /absent.so\n"),
    Row("PKCS11Provider none", "PKCS11Provider none\n"),
    Row("SecurityKeyProvider, absent, key in a file", "SecurityKeyProvider /absent.so\n"),
    Row("GSSAPIAuthentication, key in a file", "GSSAPIAuthentication yes\nGSSAPIDelegateCredentials yes\n"),
    Row("GSSAPI alone", "GSSAPIAuthentication yes\nPreferredAuthentications gssapi-with-mic\n", ssh=LOGIN),
    Row("HostbasedAuthentication, key in a file", "HostbasedAuthentication yes\nEnableSSHKeysign yes\n"),
    Row("hostbased alone", "HostbasedAuthentication yes\nPreferredAuthentications hostbased\n", ssh=LOGIN),
    Row("ProxyUseFdpass", "ProxyUseFdpass yes\nProxyCommand <passfd> 127.0.0.1 <port>\n"),
    Row("Tunnel and X11", "Tunnel no\nForwardX11 yes\nForwardX11Trusted yes\n"),
    Row("UpdateHostKeys", "UpdateHostKeys yes\n", server="three"),
    Row("HashKnownHosts", "HashKnownHosts yes\n"),
    Row("VisualHostKey", "VisualHostKey yes\n"),
)  # fmt: skip
