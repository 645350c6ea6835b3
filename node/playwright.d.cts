import type {
  Fixtures, PlaywrightTestArgs, PlaywrightTestConfig, PlaywrightTestOptions, PlaywrightWorkerArgs, PlaywrightWorkerOptions, TestType,
} from '@playwright/test'
import type { Account, MockFal, Settings } from './index.cjs'

export { expect } from '@playwright/test'

export interface MockFalFixtures {
  /** The account of the server under test. */
  mockFal: Account
}

export interface MockFalWorkerFixtures {
  mockFalServer: MockFal
}

type TestArgs = PlaywrightTestArgs & PlaywrightTestOptions
type WorkerArgs = PlaywrightWorkerArgs & PlaywrightWorkerOptions

/** For `test.extend` of your own. */
export const mockFalFixtures: Fixtures<MockFalFixtures, MockFalWorkerFixtures, TestArgs, WorkerArgs>

export const test: TestType<TestArgs & MockFalFixtures, WorkerArgs & MockFalWorkerFixtures>

/** A configuration whose web servers reach mock-fal. The second argument has settings of the server. */
export function withMockFal<Config extends PlaywrightTestConfig>(config: Config, settings?: Omit<Settings, 'port'>): Config
