import type { TestAPI } from 'vitest'
import type { Account } from './index.mjs'

export interface MockFalFixtures {
  /** The account of the test. */
  mockFal: Account
}

/** For `test.extend` of your own. */
export const mockFalFixtures: any

export const test: TestAPI<MockFalFixtures>
export const it: TestAPI<MockFalFixtures>
