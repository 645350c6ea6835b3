import type { Account } from './index.cjs'

/**
 * Call it at the top of a file or of a `describe`: each test gets an account of its own, and the object has the members of
 * the account of the test that runs.
 */
export function useMockFal(): Account
