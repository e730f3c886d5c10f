using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Benchmarks;

/// <summary>
/// The programs of an object file made by clang: each a section of one function, its maps undefined symbols that are patched by name.
/// Only as much of ELF as that takes.
/// </summary>
internal sealed class ClangObject
{
    private const int SectionHeaderSize = 64;
    private const int SymbolSize = 24;
    private const int RelocationSize = 16;
    private const uint SymbolTable = 2;
    private const uint Relocations = 9;
    private const uint MapOrValueLoad = 1; // R_BPF_64_64

    private static readonly string[] Compilers = ["clang", "clang-19", "clang-18", "clang-17", "clang-16", "clang-15", "clang-14"];

    private readonly byte[] _file;
    private readonly List<Section> _sections = [];

    private ClangObject(byte[] file)
    {
        _file = file;
        var headers = (int)BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(40));
        var count = BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(60));
        var names = BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(62));
        var raw = Enumerable.Range(0, count).Select(i => ReadSection(headers + (i * SectionHeaderSize))).ToArray();
        _sections.AddRange(raw.Select(s => s with { Name = Text(raw[names].Offset + (int)s.NameOffset) }));
    }

    /// <summary>Compiles the source by any clang there is, for the instruction set level that our compiler targets too.</summary>
    internal static ClangObject Compile(string source, params string[] defines) => CompileTimed(source, defines).Object;

    /// <summary>Compiles by any clang there is, and says how much CPU time it took.</summary>
    internal static (ClangObject Object, TimeSpan CpuTime) CompileTimed(string source, params string[] defines) =>
        CompileBy(Compilers, source, defines);

    /// <summary>Compiles by the first of the named compilers that is installed.</summary>
    internal static (ClangObject Object, TimeSpan CpuTime) CompileBy(string[] compilers, string source, params string[] options)
    {
        var before = ThreadClock.Children;
        var file = Build(compilers, source, options);
        return (new ClangObject(file), ThreadClock.Children - before);
    }

    /// <summary>The object file that any clang there is makes of the source.</summary>
    internal static byte[] Build(string source, params string[] options) => Build(Compilers, source, options);

    private static byte[] Build(string[] compilers, string source, string[] options)
    {
        var clang = compilers
            .SelectMany(name => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(f => Path.Combine(f, name)))
            .FirstOrDefault(File.Exists)
            ?? throw new InvalidOperationException($"this benchmark compares with {compilers[0]}, which is not installed: apt-get install {compilers[0]}");
        var target = Path.Combine(Path.GetTempPath(), $"skep-bench-{Environment.ProcessId}.o");
        try
        {
            using var process = Process.Start(clang, ["-O2", "-target", "bpf", "-mcpu=v3", .. options, "-c", source, "-o", target]);
            process.WaitForExit();
            return process.ExitCode == 0 ? File.ReadAllBytes(target) : throw new InvalidOperationException("clang failed");
        }
        finally
        {
            File.Delete(target);
        }
    }

    /// <summary>The program in a section, with references to the maps that its symbols name.</summary>
    internal ProgramSpec Program(string section, string name, IReadOnlyDictionary<string, BpfMap> maps)
    {
        var index = _sections.FindIndex(s => s.Name == section);
        var code = _sections[index];
        var instructions = Enumerable.Range(0, code.Size / Instruction.Size)
            .Select(i => Instruction.Read(_file.AsSpan(code.Offset + (i * Instruction.Size), Instruction.Size))).ToArray();
        return new ProgramSpec
        {
            Name = name,
            Type = ProgramType.Xdp,
            ExpectedAttachType = AttachType.Xdp,
            Instructions = instructions,
            MapReferences = [.. References(index, maps)],
            Functions = [new FunctionEntry(0, name)],
        };
    }

    private IEnumerable<MapReference> References(int section, IReadOnlyDictionary<string, BpfMap> maps)
    {
        var symbols = _sections.Single(s => s.Type == SymbolTable);
        var names = _sections[(int)symbols.Link];
        foreach (var table in _sections.Where(s => s.Type == Relocations && s.Info == section))
        {
            for (var at = table.Offset; at < table.Offset + table.Size; at += RelocationSize)
            {
                var info = BinaryPrimitives.ReadUInt64LittleEndian(_file.AsSpan(at + 8));
                var symbol = symbols.Offset + ((int)(info >> 32) * SymbolSize);
                var name = Text(names.Offset + (int)BinaryPrimitives.ReadUInt32LittleEndian(_file.AsSpan(symbol)));
                if ((uint)info != MapOrValueLoad || !maps.TryGetValue(name, out var map))
                {
                    throw new InvalidOperationException($"relocation of '{name}', kind {(uint)info}: not one of the maps");
                }

                var slot = (int)BinaryPrimitives.ReadUInt64LittleEndian(_file.AsSpan(at)) / Instruction.Size;
                var isVariable = map.GetType().GetGenericTypeDefinition() == typeof(Global<>);
                yield return new MapReference(slot, map, isVariable ? 0 : null);
            }
        }
    }

    private Section ReadSection(int at) => new(
        "",
        BinaryPrimitives.ReadUInt32LittleEndian(_file.AsSpan(at)),
        BinaryPrimitives.ReadUInt32LittleEndian(_file.AsSpan(at + 4)),
        (int)BinaryPrimitives.ReadUInt64LittleEndian(_file.AsSpan(at + 24)),
        (int)BinaryPrimitives.ReadUInt64LittleEndian(_file.AsSpan(at + 32)),
        BinaryPrimitives.ReadUInt32LittleEndian(_file.AsSpan(at + 40)),
        (int)BinaryPrimitives.ReadUInt32LittleEndian(_file.AsSpan(at + 44)));

    private string Text(int at) => Encoding.ASCII.GetString(_file.AsSpan(at, _file.AsSpan(at).IndexOf((byte)0)));

    private sealed record Section(string Name, uint NameOffset, uint Type, int Offset, int Size, uint Link, int Info);
}
