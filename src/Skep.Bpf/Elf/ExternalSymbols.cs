using Skep.Bpf.Btf;
using Skep.Bpf.Features;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Elf;

/// <summary>What a symbol stands for that the object only declares.</summary>
/// <param name="Problem">Why it has no meaning on this kernel, or null. It spoils the programs that use it.</param>
/// <param name="Offset">In the map of configuration values: bytes from its start. -1 for others.</param>
/// <param name="Type">A variable or function of the kernel with a type; null for others.</param>
/// <param name="Address">A symbol of the kernel without a type; 0 when a weak one is missing.</param>
internal sealed record ExternalSymbol(string? Problem, int Offset, KernelTypeId? Type, ulong Address)
{
    internal static ExternalSymbol Missing { get; } = new(null, -1, null, 0);

    internal static ExternalSymbol Wrong(string problem) => new(problem, -1, null, 0);
}

/// <summary>
/// Gives the symbols a meaning that an object declares but does not define: options the kernel was built with (<c>.kconfig</c>), its
/// variables and functions (<c>.ksyms</c>). A weak one may be missing: it is then zero, and a call of it may only be in dead code.
/// </summary>
internal sealed class ExternalSymbols
{
    internal const string ConfigurationSection = ".kconfig", KernelSection = ".ksyms";

    private readonly BtfFile? _types;
    private readonly ObjectOptions _options;
    private readonly KernelTypes? _kernel;
    private readonly Dictionary<string, ExternalSymbol> _known = [];
    private readonly Dictionary<string, uint> _declared = [];

    private ExternalSymbols(BtfFile? types, ObjectOptions options, KernelTypes? kernel) => (_types, _options, _kernel) = (types, options, kernel);

    /// <summary>The map of configuration values, or null when the object asks for none.</summary>
    internal UntypedMap? Configuration { get; private set; }

    internal static ExternalSymbols Read(ElfFile elf, BtfFile? types, ObjectBtf? btf, ObjectOptions options, KernelTypes? kernel)
    {
        var result = new ExternalSymbols(types, options, kernel);
        if (types is null)
        {
            return result;
        }

        foreach (var id in types.FindAll(KernelSection, BtfKind.DataSection))
        {
            foreach (var variable in types.Variables(id))
            {
                result._declared.TryAdd(types[variable].Name, variable);
            }
        }

        if (types.Find(ConfigurationSection, BtfKind.DataSection) is { } configuration)
        {
            result.ReadConfiguration(elf, types, btf, configuration);
        }

        return result;
    }

    /// <summary>What a symbol stands for.</summary>
    internal ExternalSymbol Resolve(string name, bool isWeak, bool isCall)
    {
        if (_known.TryGetValue(name, out var known))
        {
            return known;
        }

        var found = _types is not null && _declared.TryGetValue(name, out var declared)
            ? FromKernel(name, _types, declared)
            : _kernel?.Find(TypeComparison.EssentialName(name), isCall ? BtfKind.Function : BtfKind.Variable) is { } type
                ? new ExternalSymbol(null, -1, type, 0)
                : ExternalSymbol.Wrong($"'{name}' is neither in the object nor a {(isCall ? "function" : "typed variable")} of this kernel");
        return _known[name] = found.Problem is not null && isWeak ? ExternalSymbol.Missing : found;
    }

    internal static uint Align(uint at, uint size)
    {
        var alignment = System.Numerics.BitOperations.IsPow2(size) && size <= 8 ? size : 1;
        return (at + alignment - 1) & ~(alignment - 1);
    }

    private ExternalSymbol FromKernel(string name, BtfFile types, uint declared)
    {
        var type = types[declared];
        var essential = TypeComparison.EssentialName(name);
        if (type.Kind == BtfKind.Variable && types[types.SkipModifiers(type.SizeOrType)].Kind == BtfKind.Unknown)
        {
            return (_options.KernelSymbols ?? KernelSymbols.AddressOf)(essential) is { } address
                ? new ExternalSymbol(null, -1, null, address)
                : ExternalSymbol.Wrong($"the kernel has no symbol '{essential}', or several, or hides it (kernel.kptr_restrict)");
        }

        if (_kernel?.Find(essential, type.Kind) is not { } found)
        {
            return ExternalSymbol.Wrong($"the kernel has no {(type.Kind == BtfKind.Function ? "function" : "variable")} '{essential}' that programs may use");
        }

        // Other parameters or another type would be read as what they are not.
        var alike = new TypeComparison(types, found.Types).AreCompatible(type.SizeOrType, found.Types[found.Id].SizeOrType);
        return alike ? new ExternalSymbol(null, -1, found, 0) : ExternalSymbol.Wrong($"'{essential}' of the kernel is of another type than the object declares");
    }

    private void ReadConfiguration(ElfFile elf, BtfFile types, ObjectBtf? btf, uint section)
    {
        var weak = elf.Symbols.Where(s => s is { Section: 0, Binding: ElfBinding.Weak }).Select(elf.NameOf).ToHashSet();
        var reader = new ConfigurationReader(types, _options, _kernel);
        var at = 0u;
        var values = new List<(uint At, byte[] Value)>();
        foreach (var variable in types.Variables(section))
        {
            var name = types[variable].Name;
            var size = ObjectTypes.SizeOfVariable(types, variable);
            at = Align(at, size);
            var (value, problem) = reader.Read(name, types[variable].SizeOrType, size);
            _known[name] = new ExternalSymbol(value is null && !weak.Contains(name) ? problem : null, (int)at, null, 0);
            values.Add((at, value ?? []));
            at = checked(at + size);
        }

        if (at > 1 << 20)
        {
            throw new InvalidDataException($"{at} bytes of kernel options are too many.");
        }

        var contents = new byte[Math.Max(at, 1)];
        values.ForEach(v => v.Value.CopyTo(contents, v.At));
        Configuration = new UntypedMap(MapKind.Array, sizeof(uint), contents.Length, 1, MapFlags.ReadOnlyForPrograms, ConfigurationSection)
        {
            InitialValue = contents, IsConstant = true, Types = btf is null ? null : new MapTypes(btf, 0, section),
        };
    }
}
