// Restores the packet as the C# program around ours does: the template over it, and the flow's source port and lower half of its address.
struct template { unsigned long long words[16]; unsigned flows, next, family, undo; };

static inline __attribute__((always_inline)) int restore(struct template *template, unsigned char *data, unsigned char *end)
{
    if (data + sizeof template->words > end)
        return 0;
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i++)
        ((unsigned long long *)data)[i] = template->words[i];
    unsigned flow = template->next + 1;
    if (flow >= template->flows)
        flow = 0;
    template->next = flow;
    if (template->family == 6) {
        *(unsigned short *)(data + 54) = flow;
        *(unsigned short *)(data + 36) = flow >> 16;
    } else {
        *(unsigned short *)(data + 34) = flow;
        *(unsigned short *)(data + 28) = flow >> 16;
    }
    return 1;
}
