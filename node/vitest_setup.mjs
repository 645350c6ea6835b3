// The globalSetup of vitest: one server for all test files. Settings are in MOCK_FAL_… variables.
import { startMockFal } from './index.mjs'

export default async function setup() {
  const server = await startMockFal()
  return () => server.stop()
}
