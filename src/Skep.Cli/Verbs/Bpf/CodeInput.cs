using Skep.Bpf.Asm;
using Skep.Bpf.Asm.Notation;
using Skep.Bpf.Elf;
using Skep.Bpf.Elf.Linking;
using Skep.Bpf.Programs;
using Skep.Cli.Output;

namespace Skep.Cli.Verbs.Bpf;

/// <summary>A program that a file holds; an object file says which section it is from, and may have one that cannot be made ready for this kernel.</summary>
internal sealed record CodeProgram(string Name, string? Section, ProgramSpec? Spec, string? Problem);

/// <summary>Code in a file or on the standard input (<c>-</c>): an object, instructions as they lie in memory, or assembler text.</summary>
internal static class CodeInput
{
    private const string Standard = "-";

    /// <summary>The name for reports.</summary>
    public static string NameOf(string path) => path == Standard ? "stdin" : path;

    /// <summary>Reads assembler text.</summary>
    /// <exception cref="VerbException">It cannot be read; all errors are named.</exception>
    public static AsmCode Assembly(string path) => Parse(Bytes(path), path);

    /// <summary>Reads the programs of objects, which are linked when there are several, of raw instructions or of assembler text.</summary>
    /// <exception cref="VerbException">A file cannot be read.</exception>
    public static IReadOnlyList<CodeProgram> Programs(string[] paths, ProgramType type)
    {
        if (paths.Length > 1)
        {
            return Of(BpfLoadVerb.Reading(paths, () => ObjectSpec.Read(ObjectLinker.Link(paths))));
        }

        var bytes = Bytes(paths[0]);
        if (bytes.AsSpan().StartsWith("\u007fELF"u8))
        {
            return Of(BpfLoadVerb.Reading(paths, () => ObjectSpec.Read(bytes)));
        }

        var name = Path.GetFileNameWithoutExtension(NameOf(paths[0]));

        // Text has no zero bytes, and an instruction without one would be a rare one.
        if (!bytes.AsSpan().Contains((byte)0))
        {
            var code = Parse(bytes, paths[0]);
            try
            {
                return [new CodeProgram(name, null, code.Build(name, type), null)];
            }
            catch (ArgumentException e)
            {
                throw new VerbException(Safe.Text(e.Message));
            }
        }

        if (bytes.Length % Instruction.Size != 0)
        {
            throw new VerbException($"{Safe.Text(NameOf(paths[0]))} is neither an object file nor assembler text nor a number of whole instructions ({Instruction.Size} bytes each; it has {bytes.Length}).");
        }

        var instructions = new Instruction[bytes.Length / Instruction.Size];
        for (var i = 0; i < instructions.Length; i++)
        {
            instructions[i] = Instruction.Read(bytes.AsSpan(i * Instruction.Size));
        }

        return [new CodeProgram(name, null, new ProgramSpec { Name = name, Type = type, Instructions = instructions }, null)];
    }

    private static IReadOnlyList<CodeProgram> Of(ObjectSpec spec) => [.. spec.Programs.Select(p => new CodeProgram(p.Name, p.Section, p.Spec, p.Problem))];

    private static AsmCode Parse(byte[] bytes, string path)
    {
        try
        {
            return AsmReader.Read(System.Text.Encoding.UTF8.GetString(bytes), NameOf(path));
        }
        catch (AsmException e)
        {
            throw new VerbException(Safe.Lines(e.Message));
        }
    }

    private static byte[] Bytes(string path)
    {
        try
        {
            if (path != Standard)
            {
                return File.ReadAllBytes(path);
            }

            using var input = Console.OpenStandardInput();
            using var bytes = new MemoryStream();
            input.CopyTo(bytes);
            return bytes.ToArray();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new VerbException($"{Safe.Text(path)} cannot be read: {Safe.Text(e.Message)}");
        }
    }
}
