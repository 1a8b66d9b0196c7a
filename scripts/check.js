'use strict'
// Everything that CI checks, cheapest first. `npm run check` and .ci/run both end up here.

const { npm, capture } = require('./run')
const { runSteps } = require('./steps')

async function main() {
  const script = (name, ...rest) => [process.execPath, `scripts/${name}.js`, ...rest]
  const [noDeny, noAdvisories] = await missingForDeny()
  process.exitCode = await runSteps('check', [
    { name: 'rust format', argv: ['cargo', 'fmt', '--check'] },
    { name: 'set-up and build', argv: script('setup'), needed: true },
    { name: 'circles and sizes', argv: script('circles') },
    { name: 'javascript lint', argv: [...npm(), 'run', '--silent', 'lint'] },
    { name: 'rust lint', argv: ['cargo', 'clippy', '--all-targets', '--', '-D', 'warnings'] },
    {
      name: 'rust lint, as macOS and Windows read sockets',
      argv: [
        ...['cargo', 'clippy', '--all-targets', '--features', 'portable-wait'],
        ...['--', '-D', 'warnings'],
      ],
    },
    {
      name: 'rust core without Node.js',
      argv: ['cargo', 'check', '--no-default-features'],
    },
    {
      name: 'rust dependencies',
      argv: ['cargo', 'deny', '--log-level', 'error', 'check', 'bans', 'licenses', 'sources'],
      skip: noDeny,
    },
    {
      name: 'rust vulnerabilities',
      argv: ['cargo', 'deny', 'check', 'advisories'],
      skip: noAdvisories,
    },
    {
      name: 'the chat (npm start -- --demo)',
      argv: [...npm(), 'start', '--silent', '--', '--demo'],
    },
    { name: 'size of the packed packages', argv: script('pack', '--out', 'target/packed') },
    { name: 'tests (npm test)', argv: [...npm(), 'test', '--silent'] },
    { name: 'tests as macOS and Windows read sockets', argv: script('check-portable') },
    { name: 'tests on other Node.js lines, Bun and Deno', argv: script('test-matrix') },
  ])
}

/** Why cargo-deny cannot be run, and why not on the database of vulnerabilities. */
async function missingForDeny() {
  const has = async (...args) => (await capture(['cargo', 'deny', ...args])).code === 0
  if (!(await has('--version'))) return Array(2).fill('cargo-deny is not installed')
  return [undefined, (await has('fetch', 'db')) ? undefined : 'the database cannot be fetched']
}

main()
