import { z } from 'zod';

/** What `scontrol token` writes into a token (auth/jwt): until when it is good, in seconds since 1970, and for whom. */
const claims = z.object({ exp: z.number().optional(), sun: z.string().optional() });

/** Not checked in any way: that is slurmctld's affair, which has the key. */
function read(token: string): z.infer<typeof claims> {
  try {
    const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
    return claims.parse(JSON.parse(payload));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return {};
    throw error;
  }
}

/** Milliseconds since 1970; undefined where the token does not say. */
export function expiryOf(token: string): number | undefined {
  const { exp } = read(token);
  return exp === undefined ? undefined : exp * 1000;
}

/** Whose jobs it submits; undefined where the token does not say. */
export function userOf(token: string): string | undefined {
  return read(token).sun;
}
