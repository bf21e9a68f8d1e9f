#!/usr/bin/env bash
# Make the keys all Airflow components share, once, then bring Airflow's database up to date.
set -euo pipefail
umask 077

keys=/opt/airflow/keys
[[ -e $keys/fernet_key ]] || python -c 'import base64, secrets; print(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())' >"$keys/fernet_key"
for name in secret_key jwt_secret; do
  [[ -e $keys/$name ]] || python -c 'import secrets; print(secrets.token_hex(32))' >"$keys/$name"
done
python -c 'import json, os; print(json.dumps({"admin": os.environ["TREMPY_AIRFLOW_PASSWORD"]}))' >"$keys/passwords.json"

airflow db migrate
