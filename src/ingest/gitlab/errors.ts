/** Something GitLab did, or did not, that nothing here can mend. The message holds no token and no control character. */
export class GitLabError extends Error {
  override readonly name: string = 'GitLabError';
  /** What GitLab answered; undefined when it did not. */
  readonly status: number | undefined;
  /** In its own words; empty when it had none. */
  readonly words: string;

  constructor(
    message: string,
    { status, words = '', cause }: { status?: number; words?: string; cause?: unknown } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.status = status;
    this.words = words;
  }
}

export class NoTokenProvidedError extends GitLabError {
  override readonly name = 'NoTokenProvidedError';

  constructor() {
    super('No GitLab token provided: set GITLAB_TOKEN, or give --token');
  }
}

/** 401: the token is none. 403: it may not do this; of one project, when it was asked about one. Never tried again. */
export class GitLabAuthenticationError extends GitLabError {
  override readonly name = 'GitLabAuthenticationError';
}

/** Nothing usable came, also after all retries: no connection, no reply in time, 5xx, 429. */
export class GitLabConnectionError extends GitLabError {
  override readonly name = 'GitLabConnectionError';
  /** Whether it would be the same the next time: nothing is tried again. */
  readonly isFinal: boolean;

  constructor(
    message: string,
    {
      isFinal = false,
      ...options
    }: ConstructorParameters<typeof GitLabError>[1] & { isFinal?: boolean } = {},
  ) {
    super(message, options);
    this.isFinal = isFinal;
  }
}

/** 404: it is not there, or hidden from this token; GitLab does not tell which. */
export class GitLabNotFoundError extends GitLabError {
  override readonly name = 'GitLabNotFoundError';
}

/** A file was to be created that is there, and is not ours. */
export class GitLabFileExistsError extends GitLabError {
  override readonly name = 'GitLabFileExistsError';
}

/** A file was to be updated that is no longer as it was read, or no longer there. */
export class GitLabFileChangedError extends GitLabError {
  override readonly name = 'GitLabFileChangedError';
}
