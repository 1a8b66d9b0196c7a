'use strict'
// Type-checks or builds the addon for every platform that it is published for, as far as the tools
// are on this machine, and says what it left out and why.
//
//   npm run check:platforms                             all
//   npm run check:platforms -- darwin windows           targets whose names contain one of these
//   RUSTC=/usr/bin/rustc npm run check:platforms        with another compiler
//
// A target needs a standard library: from `rustup target add`, or built from the sources of one
// (`rust-src`). The dependency `ring` contains C, so a target needs a C compiler as well: zig has
// one for macOS and musl; mingw and the cross compilers of a distribution are the others.

const fs = require('node:fs')
const path = require('node:path')
const { capture, root } = require('./run')
const { runSteps } = require('./steps')

const FOLDER = path.join(root, 'target', 'platforms')
const RUSTC = process.env.RUSTC ?? 'rustc'
const MINGW = 'x86_64-w64-mingw32'

/** Ways to call zig. */
const ZIGS = [
  [process.env.CARGO_ZIGBUILD_ZIG_PATH ?? 'zig'],
  ['python3', '-m', 'ziglang'],
  ['python', '-m', 'ziglang'],
]

/** What each target takes: a command, the tools that it needs, and the environment. */
const TARGETS = [
  { target: 'x86_64-unknown-linux-gnu', command: ['cargo', 'check'] },
  {
    target: 'aarch64-unknown-linux-gnu',
    command: ['cargo', 'build'],
    tools: ['aarch64-linux-gnu-gcc'],
    env: () => ({ CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER: 'aarch64-linux-gnu-gcc' }),
  },
  ...['x86_64', 'aarch64'].map((arch) => ({
    target: `${arch}-unknown-linux-musl`,
    command: ['cargo-zigbuild', 'zigbuild'],
    tools: ['cargo-zigbuild', 'zig'],
    env: () => ({ RUSTFLAGS: '-Ctarget-feature=-crt-static' }),
  })),
  ...['x86_64', 'aarch64'].map((arch) => ({
    target: `${arch}-apple-darwin`,
    command: ['cargo-zigbuild', 'check'],
    tools: ['cargo-zigbuild', 'zig'],
  })),
  {
    // Linking needs Microsoft's libraries.
    target: 'x86_64-pc-windows-msvc',
    command: ['cargo', 'check'],
    tools: [`${MINGW}-gcc`, 'zig'],
    env: (zig) => ({
      CC_x86_64_pc_windows_msvc: `${MINGW}-gcc`,
      AR_x86_64_pc_windows_msvc: archiver(zig),
    }),
  },
  {
    // Not published. It is the Windows addon that can be linked, and run in Wine, without them.
    target: 'x86_64-pc-windows-gnu',
    command: ['cargo', 'build'],
    tools: [`${MINGW}-gcc`, `${MINGW}-dlltool`],
    env: async () => ({ LIBNODE_PATH: await nodeLibrary() }),
  },
]

async function main() {
  const wanted = process.argv.slice(2)
  const isWanted = ({ target }) => wanted.length === 0 || wanted.some((of) => target.includes(of))
  const targets = TARGETS.filter(isWanted)
  if (targets.length === 0) {
    console.error(`no target is called "${wanted.join(' ')}"; there are:`)
    for (const { target } of TARGETS) console.error(`  ${target}`)
    process.exitCode = 2
    return
  }
  fs.mkdirSync(FOLDER, { recursive: true })
  const zig = await findZig()
  const steps = []
  for (const each of targets) steps.push(await step(each, zig))
  process.exitCode = await runSteps('check:platforms', steps)
}

async function step({ target, command, tools = [], env = () => ({}) }, zig) {
  const name = `${command.at(-1)} ${target}`
  const missing = tools.filter((tool) => (tool === 'zig' ? zig === null : !isOnPath(tool)))
  if (missing.length > 0) return { name, skip: `${missing.join(' and ')} not found` }
  const standard = await standardLibrary(target)
  if (standard === null) {
    return { name, skip: `no standard library: rustup target add ${target}, or rust-src` }
  }
  const argv = [...command, ...standard.args, '--lib', '--locked', '--target', target]
  return {
    name,
    argv: [...argv, '--target-dir', FOLDER],
    options: { env: { ...process.env, ...standard.env, ...(await env(zig)) } },
  }
}

/** How a target gets a standard library: it is installed, or it can be built; null if neither. */
async function standardLibrary(target) {
  const installed = await capture([RUSTC, '--print', 'target-libdir', '--target', target])
  if (installed.code === 0 && fs.existsSync(installed.stdout.trim())) return { args: [], env: {} }
  const sysroot = (await capture([RUSTC, '--print', 'sysroot'])).stdout.trim()
  if (!fs.existsSync(path.join(sysroot, 'lib', 'rustlib', 'src', 'rust', 'library'))) return null
  // Building it is not stable yet, and the compiler need not be a nightly one for it.
  return { args: ['-Zbuild-std=std,panic_abort'], env: { RUSTC_BOOTSTRAP: '1' } }
}

/** How to call zig, or null. */
async function findZig() {
  for (const zig of ZIGS) if ((await capture([...zig, 'version'])).code === 0) return zig
  return null
}

/** A program that takes the arguments of Microsoft's `lib.exe`. */
function archiver(zig) {
  const file = path.join(FOLDER, 'lib.sh')
  fs.writeFileSync(file, `#!/bin/sh\nexec ${zig.join(' ')} lib "$@"\n`, { mode: 0o755 })
  return file
}

/** A folder with an import library: the addon looks up the functions of Node.js when it is loaded. */
async function nodeLibrary() {
  const folder = path.join(FOLDER, 'libnode')
  fs.mkdirSync(folder, { recursive: true })
  fs.writeFileSync(path.join(folder, 'node.def'), 'LIBRARY node.exe\nEXPORTS\n')
  const library = path.join(folder, 'libnode.dll')
  const definition = path.join(folder, 'node.def')
  const made = await capture([`${MINGW}-dlltool`, '-d', definition, '-l', library])
  if (made.code !== 0) throw new Error(`${MINGW}-dlltool failed: ${made.stderr}`)
  return folder
}

function isOnPath(tool) {
  const names = process.platform === 'win32' ? [tool, `${tool}.exe`] : [tool]
  const folders = (process.env.PATH ?? '').split(path.delimiter)
  return folders.some((folder) => names.some((name) => fs.existsSync(path.join(folder, name))))
}

main()
