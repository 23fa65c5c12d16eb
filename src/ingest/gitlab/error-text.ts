import { z } from 'zod';

const maxLength = 300;

const errorSchema = z.object({ message: z.unknown().optional(), error: z.unknown().optional() });

/**
 * GitLab's own words for an error, on one line: its JSON's `message` or `error`, or a plain text, as a proxy before it writes.
 * @param secret taken out, should they repeat it
 * @returns an empty text when there is nothing fit to show.
 */
export function errorTextOf(body: string, secret: string): string {
  const text = textOf(body);
  if (/^\s*</.test(text)) return '';
  return text
    .replaceAll(secret, '[token]')
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029\s]+/gu, ' ')
    .trim()
    .slice(0, maxLength);
}

function textOf(body: string): string {
  try {
    const parsed = errorSchema.safeParse(JSON.parse(body));
    const words = parsed.success ? (parsed.data.message ?? parsed.data.error) : undefined;
    return typeof words === 'string' ? words : words === undefined ? '' : JSON.stringify(words);
  } catch (error) {
    if (error instanceof SyntaxError) return body;
    throw error;
  }
}
