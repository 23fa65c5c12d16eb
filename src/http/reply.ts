import type { Response } from 'express';
import type { z } from 'zod';
import { sendGreppableJson } from './greppable-json.js';

/** A reply: how to send it, and how to describe it. */
export interface Reply<T> {
  /** Statuses of success, each with its meaning. */
  statuses: Readonly<Record<number, string>>;
  /** Undefined for a reply without a body. */
  content: { type: string; schema?: z.ZodType } | undefined;
  /** Headers that matter to callers, each with its meaning. */
  headers: Readonly<Record<string, string>>;
  send: (res: Response, body: T) => void;
}

type Statuses = Readonly<Record<number, string>>;

/** Sends JSON with status 200, or with the status that the handler sets. */
export function json<S extends z.ZodType>(
  schema: S,
  statuses: Statuses = { 200: 'Done.' },
  headers: Readonly<Record<string, string>> = {},
): Reply<z.input<S>> {
  return {
    statuses,
    content: { type: 'application/json', schema },
    headers,
    send: (res, body) => void res.json(body),
  };
}

/** Sends JSON with a space after each colon, see {@link sendGreppableJson}. */
export function greppableJson<S extends z.ZodType>(
  schema: S,
  statuses?: Statuses,
  headers?: Readonly<Record<string, string>>,
): Reply<z.input<S>> {
  return { ...json(schema, statuses, headers), send: sendGreppableJson };
}

/** Sends status 204. */
export function noContent(meaning: string): Reply<void> {
  return {
    statuses: { 204: meaning },
    content: undefined,
    headers: {},
    send: (res) => void res.status(204).end(),
  };
}

/** Leaves sending text or bytes to the handler. */
export function streamedReply(
  type: string,
  statuses: Statuses,
  headers: Readonly<Record<string, string>> = {},
): Reply<void> {
  return { statuses, content: { type }, headers, send: () => undefined };
}
