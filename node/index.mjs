import mockFal from './index.cjs'

export const { Account, ControlError, MockFal, WebhookReceiver, account, file, fileUrl, startMockFal, verifyWebhook } = mockFal
