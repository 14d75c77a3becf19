"""Provides the Python library for programs that use a gateway; `dap` stands on it. What a program imports:

- `endpoint`: `gateway` yields the running gateway or starts one for as long as it is needed, `running` and `needed`
  only look for one; each gives an `Endpoint`.
- `request.path` makes the address of a session from a `Target` and a `Command` (`gateway.protocol.target`).
- `connection.attach` opens the session: a `Connection` that sends input and receives output, control messages, the end.
- `resume` and `input_buffer`, `output_tracker`: what a terminal needs that outlives its connection.
- `verify.Verification` proves that the exit code and the length of the output are the command's.
- `http.request` sends a single HTTP request to the gateway.
- `exit_status`: `End`, how a session ended, and `GatewayFailed`, which all of these raise.
"""
