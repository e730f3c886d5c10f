using System.Text;
using Skep.Bpf.Btf;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Elf;

/// <summary>
/// The programs and maps of an object file that clang or another compiler made, by the conventions of libbpf. Reading touches the kernel
/// only to look at its types, for relocations (CO-RE).
/// </summary>
public sealed class ObjectSpec
{
    private ObjectSpec(string license, IReadOnlyList<ObjectProgram> programs, ObjectMaps maps, ObjectBtf? types)
    {
        (License, Programs, Maps, InitialValues, Types) = (license, programs, maps.All, maps.InitialValues, types);
        MapProblems = maps.Problems;
    }

    /// <summary>Licence of the programs; empty when the object has none.</summary>
    public string License { get; }

    /// <summary>The programs, in the order of the file. One with a problem does not keep the others from being loaded.</summary>
    public IReadOnlyList<ObjectProgram> Programs { get; }

    /// <summary>The maps; global data is a map of one entry named after its section.</summary>
    public IReadOnlyList<UntypedMap> Maps { get; }

    /// <summary>What maps of maps and arrays of programs hold from the start.</summary>
    public IReadOnlyList<MapInitialValue> InitialValues { get; }

    /// <summary>Maps that this kernel cannot have, and why.</summary>
    internal IReadOnlyDictionary<UntypedMap, string> MapProblems { get; }

    /// <summary>The object's types as the kernel is to see them, or null when it has none.</summary>
    internal ObjectBtf? Types { get; }

    /// <summary>Reads an object file.</summary>
    /// <param name="path">Path of the file.</param>
    /// <param name="options">What it is read against; the running kernel when null.</param>
    /// <exception cref="ElfFormatException">The file is damaged or no object of eBPF programs.</exception>
    public static ObjectSpec Read(string path, ObjectOptions? options = null) => Read(File.ReadAllBytes(path), options);

    /// <summary>Reads an object file from memory.</summary>
    /// <param name="bytes">Contents of the file.</param>
    /// <param name="options">What it is read against; the running kernel when null.</param>
    /// <exception cref="ElfFormatException">The file is damaged or no object of eBPF programs.</exception>
    public static ObjectSpec Read(byte[] bytes, ObjectOptions? options = null)
    {
        var elf = ElfFile.Parse(bytes);
        var section = elf.Find(".BTF");
        options ??= new ObjectOptions();
        try
        {
            // Not disposed of here: source lines are decoded from it when somebody looks at them.
            var types = section is { } there ? BtfFile.Parse(elf.Contents(there).Span) : null;
            var btf = types is null ? null : new ObjectBtf(ObjectTypes.Prepare(elf, types));
            var kernel = options.KernelTypes ?? KernelTypes.Running;
            var ext = types is not null && elf.Find(".BTF.ext") is { } e ? BtfExt.Read(elf.Contents(e).Span, types, e.Offset) : null;
            var license = elf.Find("license") is { } text ? Encoding.UTF8.GetString(elf.Contents(text).Span).TrimEnd('\0') : "";
            var externals = ExternalSymbols.Read(elf, types, btf, options, kernel);
            var maps = ObjectMaps.Read(elf, types, btf, kernel, externals);
            var code = new ObjectCode(elf, types, ext, kernel);
            return new ObjectSpec(license, new ProgramLinker(elf, code, maps, externals, btf, license).Link(), maps, btf);
        }
        catch (Exception e) when (e is InvalidDataException or ArgumentException or OverflowException)
        {
            // The reader of types says by these that a number leads nowhere.
            throw new ElfFormatException($"The object's types are damaged: {e.Message}", section?.Offset ?? 0, e);
        }
    }

    /// <summary>The program of that name.</summary>
    /// <exception cref="KeyNotFoundException">There is none.</exception>
    /// <exception cref="NotSupportedException">It cannot be loaded; the message says why.</exception>
    public ProgramSpec Program(string name)
    {
        var program = Programs.FirstOrDefault(p => p.Name == name) ?? throw new KeyNotFoundException(
            $"The object has no program '{name}', only: {string.Join(", ", Programs.Select(p => p.Name))}.");
        return program.Spec ?? throw new NotSupportedException($"Program '{name}' cannot be loaded: {program.Problem}");
    }

    /// <summary>
    /// Creates the maps and loads the programs, attaching none; what fails is in the result and does not keep the others from being loaded.
    /// Maps that ask for a pin by name are pinned when <see cref="LoadOptions.PinDirectory"/> is given.
    /// </summary>
    /// <exception cref="InvalidOperationException">The object is loaded already.</exception>
    public LoadedObject Load(LoadOptions? options = null) => LoadedObject.Load(this, options ?? new LoadOptions());
}
