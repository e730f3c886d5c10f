using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Interpretation;
using Skep.Bpf.Twin.Replay;

namespace Skep.Fuzz;

/// <summary>The same programs in the twin, as bytecode in the interpreter, and in the kernel, fed the same packets.</summary>
public sealed class EnginePair : IDisposable
{
    private readonly TwinEngine _twin = new();
    private readonly TwinEngine _bytecodeTwin = new();
    private readonly List<BytecodeInterpreter> _asBytecode = [];
    private readonly List<TwinReplayEngine> _inTwin = [];
    private readonly List<KernelReplayEngine> _inKernel = [];
    private readonly IReadOnlyList<BpfMap> _twinMaps;
    private readonly IReadOnlyList<BpfMap> _kernelMaps;
    private ulong _elapsed;

    /// <summary>Makes a scene three times with <paramref name="make"/>, which gives each map storage by the action it gets, and compiles two of them and loads one.</summary>
    /// <exception cref="Skep.Bpf.BpfException">The kernel cannot be programmed, or rejects a program.</exception>
    public EnginePair(Func<Action<BpfMap>, (IReadOnlyList<BpfProgram> Programs, IReadOnlyList<BpfMap> Maps)> make)
    {
        ArgumentNullException.ThrowIfNull(make);
        var twin = make(_twin.Bind);
        var bytecode = make(_bytecodeTwin.Bind);
        var kernel = make(m => m.Bind(KernelMapStorage.Create(m)));
        (_twinMaps, _kernelMaps) = (twin.Maps, kernel.Maps);
        try
        {
            foreach (var program in bytecode.Programs)
            {
                _bytecodeTwin.Bind(program);
                _asBytecode.Add(new BytecodeInterpreter(ProgramCompiler.Compile(program), _bytecodeTwin));
            }

            foreach (var (inTwin, inKernel) in twin.Programs.Zip(kernel.Programs))
            {
                _inTwin.Add(new TwinReplayEngine(inTwin, _twin));
                _inKernel.Add(new KernelReplayEngine(inKernel, ProgramLoader.Load(ProgramCompiler.Compile(inKernel))));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Runs every program on the packet in both engines; null when they agree, else what differs.</summary>
    public string? Run(ReadOnlySpan<byte> packet)
    {
        _elapsed += 1000;
        for (var i = 0; i < _inTwin.Count; i++)
        {
            if (!_inKernel[i].TryRun(packet, 0, out var verdict, out var output))
            {
                // Not a packet that a kernel hands to this hook.
                continue;
            }

            _inTwin[i].TryRun(packet, _elapsed, out var expected, out var expectedOutput);
            if (DifferenceAsBytecode(i, packet, expected, expectedOutput) is { } difference)
            {
                return difference;
            }

            if (verdict != expected || !output.SequenceEqual(expectedOutput))
            {
                var program = _inTwin[i].Program;
                return $"""
                    {program.Name} on {Convert.ToHexStringLower(packet)}
                    twin:   {Verdicts.NameOf(program, expected)} {Convert.ToHexStringLower(expectedOutput)}
                    kernel: {Verdicts.NameOf(program, verdict)} {Convert.ToHexStringLower(output)}
                    """;
            }
        }

        return null;
    }

    /// <summary>Clock and chance are the twin's, so these two agree on every program.</summary>
    private string? DifferenceAsBytecode(int index, ReadOnlySpan<byte> packet, int expected, ReadOnlySpan<byte> expectedOutput)
    {
        var program = _inTwin[index].Program;
        _bytecodeTwin.Environment.KtimeNow = _twin.Environment.KtimeNow;
        var result = program is XdpProgram ? _asBytecode[index].RunXdp(packet) : _asBytecode[index].RunTc(packet);
        return (int)result.ReturnValue == expected && result.Packet.SequenceEqual(expectedOutput) ? null : $"""
            {program.Name} on {Convert.ToHexStringLower(packet)}
            twin:     {Verdicts.NameOf(program, expected)} {Convert.ToHexStringLower(expectedOutput)}
            bytecode: {Verdicts.NameOf(program, (int)result.ReturnValue)} {Convert.ToHexStringLower(result.Packet)}
            """;
    }

    /// <summary>What differs between the maps of both engines; reads the ring buffers empty.</summary>
    public IReadOnlyList<string> CompareMaps() => MapComparison.Differences(_twinMaps, _kernelMaps);

    /// <summary>Unloads the programs and frees the maps.</summary>
    public void Dispose()
    {
        _inKernel.ForEach(e => e.Dispose());
        foreach (var map in _kernelMaps.Concat(_twinMaps))
        {
            map.Dispose();
        }

        _twin.Dispose();
        _bytecodeTwin.Dispose();
    }
}
