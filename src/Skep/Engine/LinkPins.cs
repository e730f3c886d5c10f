using System.Globalization;
using System.Text;
using Skep.Bpf.Links;
using Skep.Bpf.Programs;

namespace Skep.Engine;

/// <summary>The pinned links of an instance: a file per hook, whose name says which one.</summary>
internal sealed class LinkPins(string directory)
{
    private static readonly HookKind[] s_kinds = Enum.GetValues<HookKind>();

    /// <summary>Opens the links that are pinned; those of interfaces that are gone are let go.</summary>
    public IEnumerable<(Hook Hook, Link Link)> OpenAll(IReadOnlyList<HostInterface> interfaces)
    {
        Directory.CreateDirectory(directory);
        foreach (var path in Directory.GetFiles(directory))
        {
            if (HookOf(Path.GetFileName(path), interfaces) is { } hook)
            {
                yield return (hook, Link.OpenPinned(path));
            }
            else
            {
                File.Delete(path);
            }
        }
    }

    /// <summary>Pins the link of a hook.</summary>
    public void Pin(Hook hook, Link link)
    {
        var path = Path.Combine(directory, NameOf(hook));
        File.Delete(path);
        link.Pin(path);
    }

    /// <summary>Removes the directory with all pins.</summary>
    public void Remove()
    {
        foreach (var path in Directory.GetFiles(directory))
        {
            File.Delete(path);
        }

        Directory.Delete(directory);
    }

    private static string NameOf(Hook hook) => hook.Kind switch
    {
        HookKind.RawTracepoint => $"{hook.Word}_{PinName.For(hook.Target)}",
        // A path has slashes and dots, which a pin may not have.
        HookKind.Cgroup => $"{hook.Word}_{Convert.ToHexStringLower(Encoding.UTF8.GetBytes(hook.Target))}",
        _ => string.Create(CultureInfo.InvariantCulture, $"{hook.Word}_{hook.InterfaceIndex}_{PinName.For(hook.Target)}"),
    };

    private static Hook? HookOf(string file, IReadOnlyList<HostInterface> interfaces)
    {
        foreach (var kind in s_kinds)
        {
            var word = new Hook(kind, "").Word + "_";
            if (!file.StartsWith(word, StringComparison.Ordinal))
            {
                continue;
            }

            var rest = file[word.Length..];
            if (kind == HookKind.RawTracepoint)
            {
                return new Hook(kind, rest);
            }

            if (kind == HookKind.Cgroup)
            {
                return rest.Length % 2 == 0 && rest.All(char.IsAsciiHexDigitLower) ? new Hook(kind, Encoding.UTF8.GetString(Convert.FromHexString(rest))) : null;
            }

            // The number decides. A name that differs is the one the interface had, which resources may still call it; dots are lost.
            var end = rest.IndexOf('_', StringComparison.Ordinal);
            if (end > 0 && int.TryParse(rest[..end], NumberStyles.None, CultureInfo.InvariantCulture, out var index)
                && interfaces.FirstOrDefault(i => i.Index == index) is { Name.Length: > 0 } found)
            {
                var name = rest[(end + 1)..];
                return new Hook(kind, PinName.For(found.Name) == name ? found.Name : name, index);
            }
        }

        return null;
    }
}
