using Skep.Bpf.Btf;
using Skep.Bpf.Features;
using Skep.Bpf.Kernel;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Programs;

/// <summary>
/// A table of functions in the kernel (map of kind <see cref="MapKind.StructOps"/>), verified but not in use until it is attached.
/// </summary>
public sealed class LoadedStructOps : IDisposable
{
    /// <summary>First kernel that attaches tables by link; before, they are in use from attach until their entry is deleted.</summary>
    internal static readonly Version LinkKernel = new(6, 4);

    private readonly KernelMapStorage _map;
    private readonly byte[] _value;

    private LoadedStructOps(StructOpsSpec spec, KernelMapStorage map, byte[] value, IReadOnlyList<LoadedProgram> programs, bool byLink) =>
        (Spec, _map, _value, Programs, ByLink) = (spec, map, value, programs, byLink);

    /// <summary>What was loaded.</summary>
    public StructOpsSpec Spec { get; }

    /// <summary>The programs, in the order of the spec.</summary>
    public IReadOnlyList<LoadedProgram> Programs { get; }

    /// <summary>Whether the table is attached by a link, which the kernel has since 6.4.</summary>
    public bool ByLink { get; }

    internal KernelHandle Map => _map.Handle;

    /// <summary>Has the kernel verify the programs and makes the table.</summary>
    /// <param name="spec">The table.</param>
    /// <param name="options">How the programs are loaded.</param>
    /// <param name="byLink">Whether to attach by link; null takes a link where the kernel has them.</param>
    /// <exception cref="Verification.VerifierException">The verifier rejects a program.</exception>
    /// <exception cref="BpfException">The kernel refuses: EINVAL when the table lacks a function it needs, EOPNOTSUPP for one it does not let programs have.</exception>
    /// <exception cref="NotSupportedException">The kernel has no such table.</exception>
    public static LoadedStructOps Load(StructOpsSpec spec, LoadOptions? options = null, bool? byLink = null)
    {
        ArgumentNullException.ThrowIfNull(spec);
        var kernel = KernelTypes.Running ?? throw new NotSupportedException($"This kernel has no BTF (CONFIG_DEBUG_INFO_BTF), which {spec.Struct} needs.");
        if (kernel.Find("bpf_struct_ops_" + spec.Struct, BtfKind.Struct) is not { } valueType || valueType.Types.Find(spec.Struct, BtfKind.Struct) is not { } id)
        {
            throw new NotSupportedException($"This kernel does not let programs be a {spec.Struct} (it has no bpf_struct_ops_{spec.Struct}; kernel 5.6 or later, and the part of the kernel it belongs to).");
        }

        var type = valueType with { Id = id };
        var useLink = byLink ?? FeatureProbe.RunningKernel >= LinkKernel;
        var programs = new List<LoadedProgram>();

        // The kernel wants some types with the call, as a sign that the caller knows them; those that count are its own.
        var some = new BtfBuilder();
        some.AddInt("int", 4, signed: true);
        using var btf = new ObjectBtf(some.Build());
        KernelMapStorage? map = null;
        try
        {
            foreach (var program in spec.Programs)
            {
                programs.Add(ProgramLoader.Load(program.Program, options));
            }

            var described = Describe(spec, type, valueType, btf, useLink);
            map = KernelMapStorage.Create(described, options?.Token);
            var value = described.StructOps!.Data;
            for (var i = 0; i < programs.Count; i++)
            {
                // In place of a function's address stands the program's descriptor, which lives until the table is in use.
                BitConverter.TryWriteBytes(value.AsSpan(described.StructOps.Programs[i].Offset), (ulong)programs[i].Handle.DangerousGetHandle());
            }

            var loaded = new LoadedStructOps(spec, map, value, programs, useLink);
            if (useLink)
            {
                // Checks the table; the link puts it to use.
                loaded.Write("Checking");
            }

            return loaded;
        }
        catch
        {
            programs.ForEach(static p => p.Dispose());
            map?.Dispose();
            throw;
        }
    }

    /// <summary>A table of an object, whose map and programs are loaded and stay the object's: disposing of this would close them.</summary>
    internal static LoadedStructOps Of(UntypedMap map, string structName, IReadOnlyList<LoadedProgram> programs)
    {
        var layout = map.StructOps!;
        var value = (byte[])layout.Data.Clone();
        for (var i = 0; i < programs.Count; i++)
        {
            BitConverter.TryWriteBytes(value.AsSpan(layout.Programs[i].Offset), (ulong)programs[i].Handle.DangerousGetHandle());
        }

        var byLink = map.CreationFlags.HasFlag(MapFlags.Link);
        var loaded = new LoadedStructOps(
            new StructOpsSpec { Name = map.Name, Struct = structName, Programs = [], Values = [] }, (KernelMapStorage)map.Storage, value, programs, byLink);
        if (byLink)
        {
            loaded.Write("Checking");
        }

        return loaded;
    }

    /// <summary>Puts the table to use. Disposing of the link takes it back; connections that use a congestion control keep it until they end.</summary>
    /// <exception cref="BpfException">EEXIST when another table has the name.</exception>
    public StructOpsLink Attach() => StructOpsLink.Attach(this);

    /// <summary>Closes the descriptors of table and programs; an attached table lives on with its link.</summary>
    public void Dispose()
    {
        foreach (var program in Programs)
        {
            program.Dispose();
        }

        _map.Dispose();
    }

    internal void Write(string what)
    {
        var status = _map.Write(BitConverter.GetBytes(0), _value, 0);
        BpfException.ThrowIfFailed(status, $"{what} {Spec.Struct} '{Spec.Name}' failed{Explain(status, Spec)}");
    }

    internal static string Explain(int status, StructOpsSpec spec) => -status switch
    {
        Errno.Exists => $"; one named '{spec.Name}' is in use already: choose another name, or replace it by the Update of its link",
        Errno.Invalid => "; a member that the kernel requires is missing, or a value is not valid",
        Errno.NotSupported or 524 => "; the kernel does not let programs provide one of its members",
        _ => "",
    };

    private static UntypedMap Describe(StructOpsSpec spec, KernelTypeId type, KernelTypeId valueType, ObjectBtf btf, bool byLink)
    {
        var types = valueType.Types;
        var start = types.FindMemberOf(valueType.Id, "data")!.Value.BitOffset / 8;
        var data = new byte[types.SizeOf(valueType.Id)];
        foreach (var (member, bytes) in spec.Values)
        {
            bytes.CopyTo(data, start + OffsetOf(type, spec, member));
        }

        var programs = spec.Programs.Select(p => (p.Program.Name, start + OffsetOf(type, spec, p.Member))).ToList();
        return new UntypedMap(MapKind.StructOps, sizeof(uint), data.Length, 1, byLink ? MapFlags.Link : MapFlags.None, spec.Name)
        {
            StructOps = new StructOpsLayout(type, valueType, data, programs), Types = new MapTypes(btf, 0, 0),
        };
    }

    private static int OffsetOf(KernelTypeId type, StructOpsSpec spec, string member) =>
        type.Types.FindMemberOf(type.Id, member) is { } found
            ? found.BitOffset / 8
            : throw new NotSupportedException($"This kernel's {spec.Struct} has no member {member}.");
}
