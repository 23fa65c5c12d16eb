import { z } from 'zod';

const maxLength = 300;

const errorSchema = z.object({ message: z.unknown().optional(), error: z.unknown().optional() });

/**
 * Extracts GitLab’s own error message as one line: `message` or `error` of its JSON, or a plain
 * text, as a proxy in front of it sends.
 * @param secret removed from the message
 * @returns an empty text when the body contains no readable message
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
