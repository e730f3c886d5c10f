using Skep.Bpf.Kernel;

namespace Skep.Bpf.Btf;

/// <summary>A type of the kernel or of one of its modules.</summary>
/// <param name="Module">Name of the module; null for the kernel itself.</param>
/// <param name="Types">The types it is one of.</param>
/// <param name="Id">Its number.</param>
public readonly record struct KernelTypeId(string? Module, BtfFile Types, uint Id);

/// <summary>The types of a kernel and of its loaded modules (<c>/sys/kernel/btf</c>, modules from kernel 5.11 on).</summary>
public sealed class KernelTypes
{
    private const string Folder = "/sys/kernel/btf", Core = "vmlinux";

    private static readonly Lazy<KernelTypes?> s_running = new(() => BtfFile.Kernel is { } core ? new KernelTypes(core, () => OpenModules(core)) : null);

    private readonly Lazy<IReadOnlyList<(string Name, BtfFile Types)>> _modules;

    private KernelTypes(BtfFile core, Func<IReadOnlyList<(string Name, BtfFile Types)>> modules) =>
        (Kernel, _modules) = (core, new Lazy<IReadOnlyList<(string Name, BtfFile Types)>>(modules));

    /// <summary>Types of another kernel, for example of a machine the programs are to go to.</summary>
    /// <param name="core">Types of the kernel itself.</param>
    /// <param name="modules">Types of its modules, each read with <paramref name="core"/> as base.</param>
    public KernelTypes(BtfFile core, params IReadOnlyList<(string Name, BtfFile Types)> modules)
        : this(core, () => modules)
    {
    }

    /// <summary>Those of the running kernel, or null when it has none (CONFIG_DEBUG_INFO_BTF). Modules are those loaded when first asked for.</summary>
    public static KernelTypes? Running => s_running.Value;

    /// <summary>Types of the kernel itself.</summary>
    public BtfFile Kernel { get; }

    /// <summary>The modules with types of their own.</summary>
    public IReadOnlyList<(string Name, BtfFile Types)> Modules => _modules.Value;

    /// <summary>The first type of that name and kind: the kernel's, else a module's.</summary>
    public KernelTypeId? Find(string name, BtfKind kind) => FindAll(name, kind) is [var first, ..] ? first : null;

    /// <summary>All types of that name and one of the kinds: the kernel's, or where it has none, those of all modules.</summary>
    public IReadOnlyList<KernelTypeId> FindAll(string name, params ReadOnlySpan<BtfKind> kinds)
    {
        var result = new List<KernelTypeId>();
        foreach (var id in Kernel.FindAll(name, kinds))
        {
            result.Add(new KernelTypeId(null, Kernel, id));
        }

        if (result.Count == 0)
        {
            foreach (var (module, types) in Modules)
            {
                foreach (var id in types.FindAll(name, kinds))
                {
                    result.Add(new KernelTypeId(module, types, id));
                }
            }
        }

        return result;
    }

    /// <summary>A descriptor of a module's types, by which the kernel takes numbers of its types; the caller closes it.</summary>
    /// <exception cref="BpfException">There is no such module, or reading the list needs privileges (CAP_SYS_ADMIN).</exception>
    internal static KernelHandle OpenModule(string module)
    {
        for (var id = 0u; BpfSyscall.NextId(BpfCommand.BtfGetNextId, id, out id) == 0;)
        {
            if (BpfSyscall.GetById(BpfCommand.BtfGetFdById, id, out var handle) == 0 && BpfSyscall.NameOfKernelBtf(handle) == module)
            {
                return handle;
            }

            handle.Dispose();
        }

        throw new BpfException($"The types of kernel module '{module}' are not to be had; is it loaded?", Errno.NoEntry);
    }

    private static List<(string Name, BtfFile Types)> OpenModules(BtfFile core)
    {
        var result = new List<(string Name, BtfFile Types)>();
        foreach (var path in Directory.GetFiles(Folder).Order(StringComparer.Ordinal))
        {
            try
            {
                if (Path.GetFileName(path) is var name && name != Core)
                {
                    result.Add((name, BtfFile.Open(path, core)));
                }
            }
            catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException)
            {
                // A module that is being unloaded: its types are not needed.
            }
        }

        return result;
    }
}
