import type { Response } from 'express';
import type { z } from 'zod';
import { sendGreppableJson } from './greppable-json.js';

/** A reply: how it is sent, and how it is described. */
export interface Reply<T> {
  /** The statuses of success, and what each means. */
  statuses: Readonly<Record<number, string>>;
  /** Undefined for a reply without a body. */
  content: { type: string; schema?: z.ZodType } | undefined;
  /** Headers that matter to callers, and what each holds. */
  headers: Readonly<Record<string, string>>;
  send: (res: Response, body: T) => void;
}

type Statuses = Readonly<Record<number, string>>;

/** A handler sets any status but 200 itself. */
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

/** JSON with a space after each colon, see {@link sendGreppableJson}. */
export function greppableJson<S extends z.ZodType>(
  schema: S,
  statuses?: Statuses,
  headers?: Readonly<Record<string, string>>,
): Reply<z.input<S>> {
  return { ...json(schema, statuses, headers), send: sendGreppableJson };
}

/** 204. */
export function noContent(meaning: string): Reply<void> {
  return {
    statuses: { 204: meaning },
    content: undefined,
    headers: {},
    send: (res) => void res.status(204).end(),
  };
}

/** Text or bytes that the handler itself sends. */
export function streamedReply(
  type: string,
  statuses: Statuses,
  headers: Readonly<Record<string, string>> = {},
): Reply<void> {
  return { statuses, content: { type }, headers, send: () => undefined };
}
