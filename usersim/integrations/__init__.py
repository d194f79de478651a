"""Simulated people where other tools expect a user: Gymnasium, MCP, testbeds that call back.

Thin: each module translates between one tool's words and `usersim.simulator`. Importing this
package imports none of the tools; a module that needs one says how to install it.
"""
