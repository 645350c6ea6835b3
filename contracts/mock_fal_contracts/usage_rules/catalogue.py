"""All usage rules, in the order of the report."""

from __future__ import annotations

from typing import Final

from mock_fal_contracts.usage_rules import addresses, inputs, keys, retries, waiting, webhooks
from mock_fal_contracts.usage_rules.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    addresses.app,
    addresses.request_url,
    addresses.request_id,
    addresses.endpoint,
    addresses.call_method,
    addresses.read_method,
    addresses.cancel_method,
    addresses.allowed,
    addresses.prompt_in_url,
    addresses.webhook_url,
    addresses.webhook_in_body,
    keys.key_missing,
    keys.key_scheme,
    keys.key_text,
    keys.key_in_url,
    keys.key_in_browser,
    keys.key_to_cdn,
    keys.key_to_storage,
    inputs.body_json,
    inputs.body_unwrapped,
    inputs.field_names,
    inputs.seed,
    inputs.data_uri,
    inputs.file_url,
    inputs.priority,
    inputs.start_timeout,
    waiting.states,
    waiting.busy_polling,
    waiting.early_result,
    waiting.result_read,
    waiting.timeout,
    waiting.wait_limit,
    waiting.double_submission,
    retries.refused_key,
    retries.not_found,
    retries.refused_input,
    retries.retry_after,
    retries.backoff,
    webhooks.webhook_signature,
    webhooks.webhook_forged,
    webhooks.webhook_redirect,
    webhooks.webhook_duplicate,
)
