#!/bin/sh
# SPDX-License-Identifier: MIT
# demo.sh - what ./dev demo runs; see demo.py.
exec python3 "$(dirname "$0")/demo.py" "$@"
