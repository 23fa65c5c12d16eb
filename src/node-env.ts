/**
 * Whether this process runs for tests: `NODE_ENV` is Node's own variable, and no setting of ours.
 * Replies are then checked against their schemas.
 */
export const nodeEnv = process.env['NODE_ENV'] === 'test' ? 'test' : 'production';
