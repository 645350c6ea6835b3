// lib/jobs.ts
/** The results by request id. A real app has a database; a module is loaded once for each route, globalThis once. */
const shared = globalThis as typeof globalThis & { jobs?: Map<string, unknown> };

export const jobs = (shared.jobs ??= new Map());
