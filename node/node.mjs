// `node --import mock-fal/node`: connections of the process to fal's hosts go to mock-fal, without `mock-fal run`.
import { startMockFal } from './index.mjs'

// As with `mock-fal run`, requests take their time unless MOCK_FAL_CLOCK says otherwise.
await startMockFal(process.env.MOCK_FAL_URL ? {} : { clock: undefined })
