import { z } from 'zod';

/**
 * The claims that `scontrol token` writes (auth/jwt): the expiry in seconds since 1970, and the
 * user.
 */
const claims = z.object({ exp: z.number().optional(), sun: z.string().optional() });

/** Reads the claims without checking the signature: only slurmctld has the key. */
function read(token: string): z.infer<typeof claims> {
  try {
    const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
    return claims.parse(JSON.parse(payload));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return {};
    throw error;
  }
}

/** Returns the expiry in milliseconds since 1970; undefined if the token has none. */
export function expiryOf(token: string): number | undefined {
  const { exp } = read(token);
  return exp === undefined ? undefined : exp * 1000;
}

/** Returns the user who submits with the token; undefined if it names none. */
export function userOf(token: string): string | undefined {
  return read(token).sun;
}
