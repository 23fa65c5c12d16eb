/** Tests run as ESM TypeScript; `.js` import endings are mapped to the `.ts` sources. */
export default {
  testEnvironment: '<rootDir>/test/one-realm.ts',
  testSequencer: '<rootDir>/test/longest-first.js',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  // Nothing is to be quick here, on machines that may be busy: a test that ends does so long before, and a wait says what for.
  testTimeout: 120_000,
};
