using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Interpretation;
using Skep.Edge;
using Skep.Filtering;

namespace Skep.Benchmarks.Edge;

/// <summary>
/// Counts the instructions that each contender executes for a packet: both run in the bytecode interpreter over maps of the same contents,
/// each over its own, so that neither finds the other's traces. Unlike time, these numbers are the same on every machine.
/// </summary>
internal sealed class Counting : IDisposable
{
    private readonly Side _ours;
    private readonly Side _clang;

    internal Counting(SourceRate? rate)
    {
        // As in Setting.
        var options = new EdgeOptions { RateLimit = rate, Measure = false };
        _ours = new Side(options, (program, _) => ProgramCompiler.Compile(program));
        _clang = new Side(options, (_, maps) => Setting.CompileClang(options).Program("xdp/alone", "clang_alone", maps));
    }

    /// <summary>
    /// Instructions executed for the last of <paramref name="times"/> runs of the packet, those before it make the state it finds;
    /// and what came out, for the proof that this is the path the kernel takes.
    /// </summary>
    internal (long Ours, long Clang, int Verdict, byte[] Packet) Count(byte[] packet, int times)
    {
        var last = (Ours: 0L, Clang: 0L, Verdict: 0, Packet: packet);
        for (var i = 0; i < times; i++)
        {
            var oursResult = _ours.Interpreter.RunXdp(packet);
            var clangResult = _clang.Interpreter.RunXdp(packet);
            if (oursResult.ReturnValue != clangResult.ReturnValue || !oursResult.Packet.SequenceEqual(clangResult.Packet))
            {
                throw new InvalidOperationException($"the two programs disagree in the interpreter: {oursResult.XdpAction} and {clangResult.XdpAction}");
            }

            last = (oursResult.ExecutedInstructions, clangResult.ExecutedInstructions, (int)oursResult.ReturnValue, oursResult.Packet.ToArray());
        }

        return last;
    }

    public void Dispose()
    {
        _ours.Dispose();
        _clang.Dispose();
    }

    private sealed class Side : IDisposable
    {
        private readonly TwinEngine _twin = new();

        internal Side(EdgeOptions options, Func<EdgeProgram, IReadOnlyDictionary<string, BpfMap>, Skep.Bpf.Programs.ProgramSpec> compile)
        {
            var maps = new EdgeMaps(options);
            var program = new EdgeProgram(maps, options);
            _twin.Bind(program);
            var all = BaselineMaps.Over(maps.All, options);
            var spec = compile(program, all);
            Interpreter = new BytecodeInterpreter(spec, _twin);
            foreach (var map in maps.All.Concat(all.Values.Except(maps.All)))
            {
                _twin.Bind(map);
            }

            Setting.Fill(maps, _twin.Environment.TimeProvider);
        }

        internal BytecodeInterpreter Interpreter { get; }

        public void Dispose() => _twin.Dispose();
    }
}
