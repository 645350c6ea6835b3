import playwright from './playwright.cjs'

export const { expect, mockFalFixtures, test, withMockFal } = playwright
