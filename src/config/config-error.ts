/** An unusable setting; the message is one line for the person who starts the service. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}
