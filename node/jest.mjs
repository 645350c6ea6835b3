import jest from './jest.cjs'

export const { useMockFal } = jest
