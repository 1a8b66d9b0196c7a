'use strict'

// Other people's tools, each with a program of its own: nothing may be different from plain Node.js.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, describe, test } = require('node:test')
const commonjs = require('@rollup/plugin-commonjs')
const { nodeResolve } = require('@rollup/plugin-node-resolve')
const esbuild = require('esbuild')
const { rollup } = require('rollup')
const webpack = require('webpack')
const { PROGRAM, run, sees } = require('./program')

const ROOT = path.join(__dirname, '..', '..')
const out = fs.mkdtempSync(path.join(os.tmpdir(), 'smokesignal-ecosystem-'))
after(() => fs.rmSync(out, { recursive: true, force: true }))

describe('a program gets the expected results', { timeout: 120_000 }, () => {
  for (const flags of [
    [],
    ['--enable-source-maps'],
    ['--frozen-intrinsics'],
    ['--stack-trace-limit=0'],
  ]) {
    test(`with node ${flags.join(' ')}`, (t) => sees(t, PROGRAM, { execArgv: flags }))
  }

  for (const minify of [false, true]) {
    test(`bundled by esbuild${minify ? ', minified' : ''}`, async (t) => {
      const outfile = path.join(out, `esbuild-${minify}`, 'bundle.js')
      await esbuild.build({
        ...{ entryPoints: [PROGRAM], outfile, minify, bundle: true, platform: 'node' },
        ...{ loader: { '.node': 'copy' }, logLevel: 'error' },
      })
      await sees(t, outfile)
    })
  }

  for (const mode of ['development', 'production']) {
    test(`bundled by webpack, for ${mode}`, async (t) => {
      const stats = await pack(mode)
      assert.deepEqual(stats.toJson({ errors: true }).errors, [])
      await sees(t, path.join(out, mode, 'bundle.js'))
    })
  }

  for (const [format, name] of [
    ['cjs', 'bundle.cjs'],
    ['es', 'bundle.mjs'],
  ]) {
    test(`bundled by rollup, as ${format}`, async (t) => {
      const file = path.join(out, `rollup-${format}`, name)
      await rollUp(format, file)
      await sees(t, file)
    })
  }
})

function pack(mode) {
  const loader = path.join(__dirname, 'bundle', 'addon-loader.js')
  return new Promise((resolve, reject) => {
    webpack(
      {
        ...{ mode, entry: PROGRAM, target: 'node', context: ROOT },
        output: { path: path.join(out, mode), filename: 'bundle.js' },
        module: { rules: [{ test: /\.node$/, loader }] },
      },
      (error, stats) => (error ? reject(error) : resolve(stats)),
    )
  })
}

/** What an ES module lacks and the addon's loader uses. */
const SHIM = `
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
const require = createRequire(import.meta.url)
const __dirname = fileURLToPath(new URL('.', import.meta.url))
`

async function rollUp(format, file) {
  const ignore = (id) => id.endsWith('.node')
  const bundle = await rollup({
    input: PROGRAM,
    plugins: [nodeResolve({ exportConditions: ['node'] }), commonjs({ ignore }), addons()],
    onLog: (_level, log) => assert.fail(log.message),
  })
  await bundle.write({ file, format, banner: format === 'es' ? SHIM : '' })
  await bundle.close()
}

/** For rollup: puts the addons beside the bundle, which requires them from there. */
function addons() {
  const lib = path.join(ROOT, 'lib')
  return {
    name: 'addons',
    generateBundle() {
      for (const fileName of fs.readdirSync(lib).filter((name) => name.endsWith('.node'))) {
        this.emitFile({
          type: 'asset',
          fileName,
          source: fs.readFileSync(path.join(lib, fileName)),
        })
      }
    },
  }
}

test('jest runs nodes, with fake timers, and finds no open handle', {
  timeout: 120_000,
}, async (t) => {
  const jest = path.join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js')
  const config = path.join(__dirname, 'jest', 'jest.config.js')
  const { code, err } = await run(t, [jest, '--config', config, '--detectOpenHandles'])
  assert.equal(code, 0, err)
  assert.match(err, /Tests: +6 passed, 6 total/)
  assert.doesNotMatch(err, /open handle/)
})

test('vitest runs nodes, with fake timers', { timeout: 120_000 }, async (t) => {
  const vitest = path.join(ROOT, 'node_modules', 'vitest', 'vitest.mjs')
  const config = path.join(__dirname, 'vitest', 'vitest.config.mjs')
  const result = await run(t, [vitest, 'run', '--config', config, '--no-color'])
  assert.equal(result.code, 0, result.out + result.err)
  assert.match(result.out, /Tests +2 passed \(2\)/)
})
