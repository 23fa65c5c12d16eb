import { types } from 'node:util';
import type { EnvironmentContext, JestEnvironmentConfig } from '@jest/environment';
import { TestEnvironment } from 'jest-environment-node';

/**
 * Jest gives tests their own `Error`, and errors of Node's modules are no instances of it. Code
 * with `instanceof Error`, such as the SDK, would misjudge a refused connection. Here there is one
 * `Error`, as in the service.
 */
export default class OneRealm extends TestEnvironment {
  constructor(config: JestEnvironmentConfig, context: EnvironmentContext) {
    super(config, context);
    const own = this.global.Error;
    const ordinary = Function.prototype[Symbol.hasInstance];
    Object.defineProperty(own, Symbol.hasInstance, {
      value(this: unknown, error: unknown) {
        return (
          ordinary.call(this as () => void, error) || (this === own && types.isNativeError(error))
        );
      },
    });
  }
}
