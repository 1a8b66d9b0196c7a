'use strict'
// Type-checks or builds the addon for every platform that it is published for, as far as the tools for
// that are on this machine, and says what was left out and why.
//
// A target needs a standard library: `rustup target add`, or the sources of one (`rust-src`), from which
// it is then built. The dependency `ring` has C in it, so a target needs a C compiler, too: `cargo-zigbuild`
// brings one for macOS and musl, mingw and the cross compilers of a distribution are the others.

const fs = require('node:fs')
const path = require('node:path')
const { capture, root } = require('./run')
const { runSteps } = require('./steps')

const HOST_ONLY = '--lib --locked'.split(' ')

/** What each target takes: a command of cargo, the tools that it needs, and the environment. */
const TARGETS = [
  { target: 'x86_64-unknown-linux-gnu', command: ['check'] },
  {
    target: 'aarch64-unknown-linux-gnu',
    command: ['build'],
    tools: ['aarch64-linux-gnu-gcc'],
    env: { CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER: 'aarch64-linux-gnu-gcc' },
  },
  ...['x86_64', 'aarch64'].map((arch) => ({
    target: `${arch}-unknown-linux-musl`,
    command: ['zigbuild'],
    tools: ['cargo-zigbuild'],
    env: { RUSTFLAGS: '-Ctarget-feature=-crt-static' },
  })),
  ...['x86_64', 'aarch64'].map((arch) => ({
    target: `${arch}-apple-darwin`,
    command: ['zigbuild', 'check'],
    tools: ['cargo-zigbuild'],
  })),
  {
    target: 'x86_64-pc-windows-msvc',
    command: ['check'],
    tools: ['x86_64-w64-mingw32-gcc', 'x86_64-w64-mingw32-ar'],
    env: {
      CC_x86_64_pc_windows_msvc: 'x86_64-w64-mingw32-gcc',
      AR_x86_64_pc_windows_msvc: 'x86_64-w64-mingw32-ar',
    },
  },
]

async function main() {
  const steps = []
  for (const each of TARGETS) steps.push(await step(each))
  process.exitCode = await runSteps('check:platforms', steps)
}

async function step({ target, command, tools = [], env }) {
  const name = `${command.at(-1)} ${target}`
  const missing = tools.filter((tool) => !isOnPath(tool))
  if (missing.length > 0) return { name, skip: `${missing.join(' and ')} not found` }
  const standard = await standardLibrary(target)
  if (standard === null) {
    return { name, skip: `no standard library: rustup target add ${target}, or rust-src` }
  }
  const [tool, ...rest] =
    command[0] === 'zigbuild' && command[1] ? ['cargo-zigbuild', command[1]] : ['cargo', ...command]
  const folder = path.join(root, 'target', 'platforms')
  const argv = [
    tool,
    ...rest,
    ...standard.args,
    ...HOST_ONLY,
    '--target',
    target,
    '--target-dir',
    folder,
  ]
  return { name, argv, options: { env: { ...process.env, ...standard.env, ...env } } }
}

/** How a target gets a standard library: it is installed, or it can be built; null if neither. */
async function standardLibrary(target) {
  const installed = await capture(['rustc', '--print', 'target-libdir', '--target', target])
  if (installed.code === 0 && fs.existsSync(installed.stdout.trim())) return { args: [], env: {} }
  const sysroot = (await capture(['rustc', '--print', 'sysroot'])).stdout.trim()
  if (!fs.existsSync(path.join(sysroot, 'lib', 'rustlib', 'src', 'rust', 'library'))) return null
  // Building it is not stable yet, and the compiler need not be a nightly one for it.
  return { args: ['-Zbuild-std=std,panic_abort'], env: { RUSTC_BOOTSTRAP: '1' } }
}

function isOnPath(tool) {
  const names = process.platform === 'win32' ? [tool, `${tool}.exe`] : [tool]
  const folders = (process.env.PATH ?? '').split(path.delimiter)
  return folders.some((folder) => names.some((name) => fs.existsSync(path.join(folder, name))))
}

main()
